package edge

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/feed"
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
	n, err := Number("entries", s, 0, maxCache)
	if p.cfg.Cache = n; n == 0 {
		p.cfg.Cache = -1
	}
	return err
}

// registry reads where the registry comes from.
func (p *parser) registry(args []string) error {
	if len(args) == 0 {
		return errUsage("registry", nil)
	}
	if strings.Contains(args[0], "://") {
		return p.service(args[0], args[1:])
	}
	if len(args) > 1 {
		return fmt.Errorf("unexpected %q; expects a snapshot file and nothing else, or URL key FILE, or URL [token FILE] thin", args[1])
	}
	full, err := p.file(args[0])
	p.cfg.Registry = full
	return err
}

// serviceWords are what may stand after the URL of a service: how many words
// follow, what they are, and what becomes of them.
var serviceWords = map[string]struct {
	args int
	what string
	set  func(p *parser, args []string) error
}{
	"key":   {1, "FILE, with the registry's public keys", func(p *parser, a []string) (err error) { p.cfg.Keys, err = p.file(a[0]); return err }},
	"token": {1, "FILE", func(p *parser, a []string) (err error) { p.cfg.Access.Token, err = p.file(a[0]); return err }},
	"ca":    {1, "FILE, with the authorities of the service's certificate", func(p *parser, a []string) (err error) { p.cfg.Access.CA, err = p.file(a[0]); return err }},
	"cert":  {2, "FILE KEY-FILE", (*parser).clientCert},
	"accept-epoch": {1, "ID, as the service names it", func(p *parser, a []string) (err error) {
		p.cfg.AcceptEpoch, err = registry.ParseEpoch(a[0])
		return err
	}},
	"thin": {0, "", func(*parser, []string) error { return nil }},
}

func (p *parser) clientCert(args []string) (err error) {
	if p.cfg.Access.Cert, err = p.file(args[0]); err == nil {
		p.cfg.Access.Key, err = p.file(args[1])
	}
	return err
}

// service reads a registry service.
func (p *parser) service(service string, words []string) error {
	c, err := feed.NewClient(service, nil)
	if err != nil {
		return err
	}
	c.Close()
	seen := map[string]bool{}
	for len(words) > 0 {
		w, known := serviceWords[words[0]]
		switch {
		case !known || seen[words[0]]:
			return fmt.Errorf("unexpected %q; expect URL key FILE [token FILE] [ca FILE] [cert FILE KEY-FILE] [accept-epoch ID], or URL [token FILE] [ca FILE] [cert FILE KEY-FILE] thin, each once", words[0])
		case len(words) <= w.args:
			return fmt.Errorf("%s without a file; expect %s %s", words[0], words[0], w.what)
		}
		seen[words[0]] = true
		if err := w.set(p, words[1:1+w.args]); err != nil {
			return fmt.Errorf("%s: %w", words[0], err)
		}
		words = words[1+w.args:]
	}
	a := p.cfg.Access
	switch {
	case seen["thin"] && p.cfg.Keys != "":
		return errors.New("key has no effect with thin: it is for the signatures of a feed, and answers bear none; leave it out, and name the service by https")
	case !seen["thin"] && p.cfg.Keys == "":
		return fmt.Errorf("%q is a registry service; to follow it, name the file of its public keys: %q; or ask it name by name: %q; or name a snapshot file as \"icp-registry import\" writes it", service, "registry "+service+" key FILE", "registry "+service+" thin")
	case seen["thin"] && seen["accept-epoch"]:
		return errors.New("accept-epoch has no effect with thin: nothing is held that could be newer")
	case (a.CA != "" || a.Cert != "") && !strings.HasPrefix(service, "https:"):
		return fmt.Errorf("ca and cert go with https; the service is %q", service)
	}
	p.cfg.Service = service
	return nil
}

// duration reads a time above 0.
func duration(s, example string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("duration %q; expect one above 0, for example %s", s, example)
	}
	return d, nil
}

// maxThinTimeout: resolvers give up after some seconds, and browsers with them.
const maxThinTimeout = 10 * time.Second

func (p *parser) thinTimeout(args []string) error {
	s, err := single("thin-timeout", args)
	if err != nil {
		return err
	}
	if p.cfg.ThinTimeout, err = duration(s, "50ms"); err == nil && p.cfg.ThinTimeout > maxThinTimeout {
		err = fmt.Errorf("duration %q; expect at most %s", s, maxThinTimeout)
	}
	return err
}

func (p *parser) maxStale(args []string) (err error) {
	if len(args) < 1 || len(args) > 2 {
		return errUsage("max-stale", args)
	}
	if p.cfg.MaxStale, err = duration(args[0], "72h"); err != nil || len(args) == 1 {
		return err
	}
	i, err := Word(args[1], staleWords)
	p.cfg.OnStale = OnStale(i)
	return err
}

// contradiction names an option that says nothing beside the others.
func (p *parser) contradiction() (option string, err error) {
	c := &p.cfg
	switch {
	case !c.thin() && c.ThinTimeout > 0:
		return "thin-timeout", errors.New("a snapshot file is not waited for; it goes with registry URL thin")
	case c.thin() && c.State != "":
		return "state", errors.New("with thin there is no snapshot to keep; it goes with registry FILE, or URL key FILE")
	case c.thin() && c.Cache < 0:
		return "cache", fmt.Errorf("thin asks for every name once and remembers it; expect a size from 1 to %d", maxCache)
	case c.thin() && c.Policy.IPLiteral == registry.IPLiteralFiledOnly:
		return "policy ip-literal", errors.New("with thin nothing is known of addresses; expect allow or block")
	}
	return "", nil
}
