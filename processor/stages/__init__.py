"""The imperative shell: each stage reads tables, calls pure functions, and writes tables once."""
