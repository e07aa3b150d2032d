"""Real parts on one machine, with no container engine: jars, a broker, a registry, a cluster."""
