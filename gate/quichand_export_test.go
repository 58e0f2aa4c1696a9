package gate

// Next starts a gate after g as a process that is started anew, which takes g's
// sockets; g begins nothing more.
func (g *Gate) Next(cfg Config, o Options) (*Gate, error) {
	files, _, err := g.Files(0)
	if err != nil {
		return nil, err
	}
	last := len(files) - 1
	for _, f := range files[:last] {
		if err := o.Inherited.take(f); err != nil {
			return nil, err
		}
	}
	o.Inherited.before = files[last]
	next, err := Start(cfg, o)
	if err == nil {
		g.KeepSockets()
		g.Leave()
	}
	return next, err
}
