package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// startTimeout bounds how long a program may take to its first answer.
const startTimeout = 30 * time.Second

// program is one of the programs, running.
type program struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
	err   error         // why; to be read then
}

// start starts a program of the folder bin.
func start(bin, name string, logs io.Writer, args ...string) (*program, error) {
	p := &program{name: name, cmd: exec.Command(filepath.Join(bin, name), args...), ended: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = logs, logs
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("could not start %s (hint: `make build` builds it): %w", name, err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.ended) }()
	return p, nil
}

// await asks until the program answers as wanted.
func (p *program) await(ctx context.Context, what string, answers func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return p.over()
		case <-ctx.Done():
			return fmt.Errorf("%s did not %s: %w", p.name, what, errors.Join(ctx.Err(), err))
		case <-again.C:
		}
	}
}

// over tells that it has ended by itself.
func (p *program) over() error {
	return fmt.Errorf("%s ended; see its output above: %w", p.name, errors.Join(p.err, errors.New("nobody asked it to")))
}

// stop ends it in order: it takes its own time to drain.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it fails if it has ended
	<-p.ended
}
