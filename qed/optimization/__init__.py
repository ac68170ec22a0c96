"""Descent: step rules and the limits of their stability; support vector machines with a proved gap."""
