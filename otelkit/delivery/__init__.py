"""From memory to the ways out: bounded queues, one background thread, exact counts."""
