"""Rules of credit, one file each: how an answer about several inferences is divided."""
