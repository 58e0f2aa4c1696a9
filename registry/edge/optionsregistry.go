package edge

import (
	"errors"
	"fmt"
	"os"
)

// maxCache bounds the cache: 16 million entries are some 5 GB.
const maxCache = 1 << 24

func (p *parser) state(args []string) error {
	dir, err := single("state", args)
	if err != nil {
		return err
	}
	if dir == "" {
		return errors.New("\"\" is no directory; expect a directory of this user's, for example /var/lib/icpgate")
	}
	full := p.join(dir)
	if info, err := os.Stat(full); err == nil && !info.IsDir() {
		return fmt.Errorf("%q is a file; expect a directory", full)
	}
	p.cfg.State = full
	return nil
}

// cache reads the size of the cache. Zero is none; in a Config it stands for the
// default.
func (p *parser) cache(args []string) error {
	s, err := single("cache", args)
	if err != nil {
		return err
	}
	n, err := number("entries", s, 0, maxCache)
	if p.cfg.Cache = n; n == 0 {
		p.cfg.Cache = -1
	}
	return err
}
