"""Policy as dated, sourced data: what a notice or a measurement says, with its region, and what reads it."""
