"""What is carried along the graph: one file a domain. A missing rule gives UNKNOWN with its line, never a guess."""
