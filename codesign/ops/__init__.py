"""One file an operator: a frozen dataclass that infers its result's type and runs exactly."""
