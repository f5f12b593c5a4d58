"""One file a kind of stage: parameters, golden, schedule, cost and circuit side by side."""
