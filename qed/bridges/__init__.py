"""Other libraries' ways of writing a model, turned into functions of arrays; one file a library."""
