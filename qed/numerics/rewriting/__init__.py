"""Rewritings: memoised recursive functions (graph, value) -> expression, emitting through `qed.graph.build`."""
