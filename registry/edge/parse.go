package edge

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coredns/caddy/caddyfile"

	"github.com/icpgate/icpgate/registry"
)

// Parse reads one `icp [ZONES...] { … }` block; d stands on the directive's
// name and is left on the block's end. Relative paths are joined to root. Every
// error names file, line and token, and what would be legal.
//
// The files themselves are only looked for: their contents are Open's business.
func Parse(d *caddyfile.Dispenser, root string) (Config, error) {
	p := &parser{d: d, root: root, line: map[string]int{}}
	if err := p.zones(d.RemainingArgs()); err != nil {
		return Config{}, err
	}
	for d.NextBlock() {
		if err := p.option(); err != nil {
			return Config{}, err
		}
	}
	if p.cfg.Registry == "" && p.cfg.Service == "" {
		return Config{}, d.Errf("no registry: add a line %q", "registry FILE")
	}
	if option, err := p.contradiction(); err != nil {
		return Config{}, d.Errf("%s in line %d: %s", option, p.line[option], err)
	}
	return p.cfg, nil
}

// parser is the state of one Parse.
type parser struct {
	d    *caddyfile.Dispenser
	root string
	cfg  Config
	line map[string]int // where an option, or "policy KNOB", stood
}

// option is one line of the block.
type option struct {
	name     string
	usage    string // its arguments
	repeated bool   // several lines add up
	parse    func(p *parser, args []string) error
}

// options are the legal lines, in the order of the documentation. The table is
// filled by init since its functions name it in errors.
var options []option

func init() {
	options = []option{
		{"registry", "FILE|URL [key FILE] [token FILE] [ca FILE] [cert FILE KEY-FILE] [accept-epoch ID] [thin]", false, (*parser).registry},
		{"state", "DIR", false, (*parser).state},
		{"cache", "SIZE", false, (*parser).cache},
		{"thin-timeout", "DURATION", false, (*parser).thinTimeout},
		{"max-stale", "DURATION [keep|allow|block]", false, (*parser).maxStale},
		{"provider", "ID", false, (*parser).provider},
		{"mainland", "FILE [only|add]", false, (*parser).mainland},
		{"networks", "FILE", false, fileOption(func(c *Config) *string { return &c.Networks })},
		{"nat64", "PREFIX...", true, (*parser).nat64},
		{"bindings", "FILE", false, fileOption(func(c *Config) *string { return &c.Bindings })},
		{"suffixes", "FILE", false, fileOption(func(c *Config) *string { return &c.Suffixes })},
		{"profiles", "FILE", false, fileOption(func(c *Config) *string { return &c.Profiles })},
		{"confirm", "N", false, (*parser).confirm},
		{"mode", "enforce|monitor", false, knobOption("mode")},
		{"block", "nodata|nxdomain|refused|redirect ADDR...", false, (*parser).block},
		{"mixed", "strip|block", false, knobOption("mixed")},
		{"policy", "gov|ip-literal|no-host|pending-access VALUE", true, (*parser).policy},
		{"fail", "open|closed", false, knobOption("fail")},
		{"exempt", "NAME|*.NAME|FILE [until TIME] [authority]", true, (*parser).exempt},
		{"clients", "exempt|monitor CIDR...", true, (*parser).clients},
		{"ede", "CODE", false, (*parser).ede},
		{"ttl", "SECONDS", false, secondsOption(func(c *Config) *uint32 { return &c.TTL })},
		{"max-ttl", "SECONDS", false, secondsOption(func(c *Config) *uint32 { return &c.MaxTTL })},
		{"strip-ech", "blocked|off|unfiled", false, (*parser).stripECH},
		{"structured-error", "CODE contact URI... [organisation TEXT] [lang TAG]", false, (*parser).structured},
		{"log", "[FILE] [sample N] [client-prefix V4 V6]", false, (*parser).log},
		{"admin", "ADDR [pprof]", false, (*parser).admin},
	}
}

// option reads the line that d stands on.
func (p *parser) option() error {
	name := p.d.Val()
	for _, o := range options {
		if o.name == name {
			return p.known(o)
		}
	}
	names := make([]string, len(options))
	for i, o := range options {
		names[i] = o.name
	}
	return p.d.Errf("unknown option %q; expect %s", name, registry.AnyOf(names))
}

func (p *parser) known(o option) error {
	if !o.repeated {
		if err := p.once(o.name); err != nil {
			return p.d.Err(err.Error())
		}
	}
	args := p.d.RemainingArgs()
	if p.d.NextArg() {
		return p.d.Errf("unexpected %q; %s takes no block", p.d.Val(), o.name)
	}
	if err := o.parse(p, args); err != nil {
		return p.d.Errf("%s: %s", o.name, err)
	}
	return nil
}

// once refuses the second line of a kind and says where the first is.
func (p *parser) once(what string) error {
	if first, ok := p.line[what]; ok {
		return fmt.Errorf("%s was given in line %d already; it may be given once", what, first)
	}
	p.line[what] = p.d.Line()
	return nil
}

// errUsage is the error of a wrong number of arguments.
func errUsage(name string, args []string) error {
	for _, o := range options {
		if o.name == name {
			return fmt.Errorf("%s; expect %s %s", Given(args), o.name, o.usage)
		}
	}
	return errors.New(Given(args))
}

// Given quotes the arguments of a line for the error that refuses them.
func Given(args []string) string {
	if len(args) == 0 {
		return "no argument"
	}
	s := "arguments"
	if len(args) == 1 {
		s = "argument"
	}
	return fmt.Sprintf("%s %q", s, args[:min(len(args), 4)])
}

// single returns the only argument.
func single(name string, args []string) (string, error) {
	if len(args) != 1 {
		return "", errUsage(name, args)
	}
	return args[0], nil
}

// file joins a path to the root and makes sure that a file is there.
func (p *parser) file(path string) (string, error) {
	full := p.join(path)
	info, err := os.Stat(full)
	switch {
	case os.IsNotExist(err):
		return "", fmt.Errorf("file %q does not exist", full)
	case err != nil:
		return "", fmt.Errorf("file %q cannot be read: %w", full, err)
	case info.IsDir():
		return "", fmt.Errorf("%q is a directory; expect a file", full)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%q is no regular file (mode %s); expect one", full, info.Mode())
	}
	return full, nil
}

func (p *parser) join(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.root, path)
}

// fileOption makes the function of an option that names one file.
func fileOption(field func(*Config) *string) func(*parser, []string) error {
	return func(p *parser, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s; expect one FILE", Given(args))
		}
		full, err := p.file(args[0])
		*field(&p.cfg) = full
		return err
	}
}

// maxSeconds bounds TTLs: RFC 8767 advises resolvers to keep nothing longer than
// a week.
const maxSeconds = 7 * 24 * 3600

// secondsOption makes the function of an option that is a TTL. Zero is refused:
// in a Config it stands for the default.
func secondsOption(field func(*Config) *uint32) func(*parser, []string) error {
	return func(p *parser, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s; expect one number of seconds", Given(args))
		}
		n, err := Number("seconds", args[0], 1, maxSeconds)
		*field(&p.cfg) = uint32(n)
		return err
	}
}

// knobOption makes the function of an option that is a knob of the policy.
func knobOption(knob string) func(*parser, []string) error {
	return func(p *parser, args []string) error {
		word, err := single(knob, args)
		if err != nil {
			return err
		}
		return p.cfg.Policy.Set(knob, word)
	}
}

// policy reads one knob a line.
func (p *parser) policy(args []string) error {
	if len(args) == 0 {
		return errUsage("policy", nil)
	}
	knob := args[0]
	if _, err := Word(knob, policyKnobs); err != nil {
		return fmt.Errorf("unknown knob %q; expect %s", knob, registry.AnyOf(policyKnobs))
	}
	if len(args) != 2 {
		return fmt.Errorf("%s: %s; expect %s", knob, Given(args[1:]), registry.AnyOf(valuesOf(knob)))
	}
	if err := p.cfg.Policy.Set(knob, args[1]); err != nil {
		return err
	}
	return p.once("policy " + knob)
}

// valuesOf returns the words that a knob takes.
func valuesOf(knob string) []string {
	for name, values := range registry.Knobs() {
		if name == knob {
			return values
		}
	}
	return nil
}

// policyKnobs are the knobs that a policy line sets; fail, mode and mixed have
// lines of their own.
var policyKnobs = []string{"gov", "ip-literal", "no-host", "pending-access"}

func (p *parser) provider(args []string) error {
	s, err := single("provider", args)
	if err != nil {
		return err
	}
	p.cfg.Provider, err = registry.ParseProviderID(s)
	return err
}
