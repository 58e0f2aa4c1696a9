package gate

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/coredns/caddy/caddyfile"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// Load reads a configuration file. Relative paths in it, and in what it
// imports, are joined to its directory.
func Load(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	defer f.Close()
	return Parse(path, f)
}

// Parse reads a configuration from input; name is the file's, for errors and
// paths. The syntax is that of a Corefile, with `import` and environment
// variables as CoreDNS has them. Every error names file, line and token, and
// what would be legal.
//
// Certificates are read, to tell early of a key that is another's; other files
// are only looked for.
func Parse(name string, input io.Reader) (Config, error) {
	text, err := io.ReadAll(input)
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", name, err)
	}
	blocks, err := caddyfile.Parse(name, bytes.NewReader(text), nil)
	if err != nil {
		return Config{}, err
	}
	if len(blocks) == 0 {
		return Config{}, fmt.Errorf("%s:1 - no server block; expect for example http://:80 { … }", name)
	}
	var cfg Config
	keys := caddyfile.NewDispenser(name, bytes.NewReader(text))
	for _, b := range blocks {
		s, err := parseBlock(name, b, &keys)
		if err != nil {
			return Config{}, err
		}
		if err := noConflict(cfg.Servers, s); err != nil {
			return Config{}, err
		}
		cfg.Servers = append(cfg.Servers, s)
	}
	return cfg, nil
}

// parser is the state of one server block.
type parser struct {
	name  string // the file's
	root  string // what relative paths are joined to
	d     *caddyfile.Dispenser
	s     Server
	first map[string]string // where a directive, or a word of one, stood
}

// parseBlock reads one server block. keys walks the tokens of the file: the
// library does not say where a block's keys stood.
func parseBlock(name string, b caddyfile.ServerBlock, keys *caddyfile.Dispenser) (Server, error) {
	p := &parser{name: name, root: filepath.Dir(name), first: map[string]string{}}
	p.s.At = blockAt(name, b, keys)
	if err := p.keys(b.Keys); err != nil {
		return p.s, fmt.Errorf("%s - %w", p.s.At, err)
	}
	for _, dir := range inOrder(b.Tokens) {
		d := caddyfile.NewDispenserTokens(name, b.Tokens[dir])
		p.d = &d
		for d.Next() {
			if err := p.directive(dir); err != nil {
				return p.s, err
			}
		}
	}
	if _, ok := p.first["icp"]; !ok {
		return p.s, fmt.Errorf("%s - no icp block; expect icp { registry FILE … } in every server block", p.s.At)
	}
	if err := p.check(); err != nil {
		return p.s, err
	}
	return p.s, nil
}

// blockAt finds the line of a block's first key. A key that stands in an imported
// file or comes from the environment is not among the tokens; the block's first
// directive tells the place then.
func blockAt(name string, b caddyfile.ServerBlock, keys *caddyfile.Dispenser) string {
	for d := *keys; d.Next(); {
		if strings.TrimSuffix(d.Val(), ",") == b.Keys[0] {
			*keys = d
			return fmt.Sprintf("%s:%d", d.File(), d.Line())
		}
	}
	if dirs := inOrder(b.Tokens); len(dirs) > 0 {
		d := caddyfile.NewDispenserTokens(name, b.Tokens[dirs[0]])
		d.Next()
		return fmt.Sprintf("%s:%d", d.File(), d.Line())
	}
	return name + ":1"
}

// inOrder lists the directives of a block as they first stand in the file, for
// the first error to be the same every time.
func inOrder(tokens map[string][]caddyfile.Token) []string {
	var dirs []string
	for dir := range tokens {
		dirs = append(dirs, dir)
	}
	slices.SortFunc(dirs, func(a, b string) int {
		x, y := tokens[a][0], tokens[b][0]
		return cmp.Or(cmp.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(a, b))
	})
	return dirs
}

// directive is what may stand in a server block.
type directive struct {
	name     string
	usage    string // its arguments
	repeated bool   // several lines add up
	parse    func(p *parser, args []string) error
}

// directives are the legal ones beside icp, in the order of the documentation.
// The table is filled by init since its functions name it in errors.
var directives []directive

func init() {
	directives = []directive{
		{"upstream", "ADDR|unix:PATH... [tls [NAME]] [proxy-protocol v1|v2] [check INTERVAL]", true, (*parser).upstream},
		{"serves", "[asked] ADDR...|mainland [product P]", false, (*parser).serves},
		{"peers", "CIDR...", false, (*parser).peers},
		{"socket", "MODE [GROUP]", false, (*parser).socketAccess},
		{"reflection", "off|on", false, switchOption(func(s *Server) *bool { return &s.Reflection }, "off", "on")},
		{"proxy-protocol", "require CIDR...", false, (*parser).proxyProtocol},
		{"original-dst", "redirect|tproxy CIDR...", false, (*parser).originalDst},
		{"tls", "CERT KEY [page]", true, (*parser).tls},
		{"block", "page|redirect URL|alert|rst|fin|close|drop [status 403|451] [template FILE]", false, (*parser).block},
		{"notice", "[provider NAME] [contact TEXT] [contact-url URL] [contact-mail ADDR] [filing URL] [access URL] [blocked-by URL]", true, (*parser).notice},
		{"limits", "[connections N] [per-client N] [prefix V4 V6] [head BYTES] [body-rate BYTES|off] [initials N]", true, (*parser).limits},
		{"timeouts", "[head D] [idle D] [dial D] [drain D]", true, (*parser).timeouts},
		{"established", "close D|keep", false, (*parser).established},
		{"upgrade", "websocket|off", false, (*parser).upgrade},
		{"h2c", "off|on", false, switchOption(func(s *Server) *bool { return &s.H2C }, "off", "on")},
		{"ech", "pass|refuse", false, switchOption(func(s *Server) *bool { return &s.ECHRefuse }, "pass", "refuse")},
		{"forwarded", "add|replace|off", false, (*parser).forwarded},
		{"log", "[FILE] [sample N] [client-prefix V4 V6]", false, (*parser).log},
	}
}

// directive reads the occurrence of a directive that p.d stands on.
func (p *parser) directive(name string) error {
	if name == "icp" {
		return p.icp()
	}
	i := slices.IndexFunc(directives, func(d directive) bool { return d.name == name })
	if i < 0 {
		return p.d.Errf("unknown directive %q; %s", name, legalDirectives())
	}
	if !directives[i].repeated {
		if err := p.once(name); err != nil {
			return p.d.Err(err.Error())
		}
	}
	p.note(name)
	args := p.d.RemainingArgs()
	if p.d.NextArg() {
		return p.d.Errf("unexpected %q; %s takes no block", p.d.Val(), name)
	}
	if err := directives[i].parse(p, args); err != nil {
		return p.d.Errf("%s: %s", name, err)
	}
	return nil
}

func (p *parser) icp() (err error) {
	if err := p.once("icp"); err != nil {
		return p.d.Err(err.Error())
	}
	p.s.ICP, err = edge.Parse(p.d, p.root)
	return err
}

func legalDirectives() string {
	names := []string{"icp"}
	for _, d := range directives {
		names = append(names, d.name)
	}
	return "expect " + registry.AnyOf(names)
}

// here is the place that p.d stands on.
func (p *parser) here() string { return fmt.Sprintf("%s:%d", p.d.File(), p.d.Line()) }

// once refuses the second of a kind and says where the first is.
func (p *parser) once(what string) error {
	if at, ok := p.first[what]; ok {
		return fmt.Errorf("%s was given at %s already; it may be given once", what, at)
	}
	p.note(what)
	return nil
}

func (p *parser) note(what string) {
	if _, ok := p.first[what]; !ok {
		p.first[what] = p.here()
	}
}

// errUsage is the error of a wrong number of arguments.
func errUsage(name string, args []string) error {
	for _, d := range directives {
		if d.name == name {
			return fmt.Errorf("%s; expect %s %s", edge.Given(args), d.name, d.usage)
		}
	}
	return errors.New(edge.Given(args))
}

func (p *parser) join(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.root, path)
}

// file joins a path to the root and makes sure that a file is there: a regular
// one, for reading a device or a pipe might never end.
func (p *parser) file(path string) (string, error) {
	full := p.join(path)
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("file %q does not exist", full)
	case err != nil:
		return "", fmt.Errorf("file %q cannot be read: %w", full, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is a directory or a device; expect a file", full)
	}
	return full, nil
}
