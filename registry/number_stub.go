package registry

type Number struct{ s string }
