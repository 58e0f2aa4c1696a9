package main

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/explain"
)

// explaining are the settings of one explanation, as the flags give them.
type explaining struct {
	env
	registry string
	ips      []string
	channel  string
	cnames   []string

	provider, addressProvider     string
	product, acceleration, origin string
	originPull                    bool

	policies []string
	exempt   []string
	edge     edge.Config // the files

	json, exitCode bool
	lang           string
	output

	record target // a registry of record in place of the snapshot
}

func explainCommand(e env) *cobra.Command {
	x := explaining{env: e}
	x.record.opening.env = e
	cmd := &cobra.Command{
		Use:   "explain NAME",
		Short: "Say whether a name may be served, by which rule and filing, and what to do next",
		Long: `Judges a name as an edge does, and says which rule decided, by which filing,
with its reference, and what the site's owner and staff do next. NAME may be an
address, and carry a port or a path. The snapshot is --registry, else that of
the variable ` + registryVariable + `, else ` + defaultRegistry + ` in the working directory. With --dir or --db
it is judged by the registry of record and its lists; with --server (or, where no
snapshot is named, the variable ` + serverVariable + `) a service judges, by its own policy and lists.

Without --ip the name is judged as if it pointed at a mainland address of the
provider. With several, the worst verdict is explained, and each is listed.
What is taken for granted stands in the explanation.

The language follows LC_ALL, LC_MESSAGES and LANG; --lang sets it. The words of
--json are the same in both.

Exit codes: 0 explained, whatever the verdict; with --exit-code 3 where the name
would be blocked.`,
		Example: `  icp-registry explain www.example.com --provider aliyun
  icp-registry explain www.example.com --provider aliyun --ip 203.0.113.10 --networks networks.txt
  icp-registry explain shop.example.com --provider huawei --product oss --origin this-provider-mainland --lang zh
  icp-registry explain 192.0.2.10 --policy ip-literal=filed-only --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError(cmd, fmt.Errorf("%d names given; expect one", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return x.run(cmd, args[0]) },
	}
	x.flags(cmd)
	x.output.flags(cmd)
	x.record.flags(cmd)
	return cmd
}

func (x *explaining) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&x.registry, "registry", "", "the snapshot `FILE`")
	f.StringArrayVar(&x.ips, "ip", nil, "an `ADDRESS` that the name points at; may be repeated")
	f.StringVar(&x.provider, "provider", "", "whose edge asks; without it only a filing is asked for")
	f.StringVar(&x.addressProvider, "address-provider", "", "whose the addresses are; default: as the networks and CNAMEs say")
	f.StringVar(&x.product, "product", "", "the product at the addresses; default: as bindings, networks and CNAMEs say")
	f.StringVar(&x.channel, "channel", "http", "dns, http, https or quic")
	f.StringArrayVar(&x.cnames, "cname", nil, "a CNAME `TARGET` on the way to the addresses; may be repeated, in order")
	f.StringVar(&x.acceleration, "acceleration", "", "mainland, global or overseas")
	f.StringVar(&x.origin, "origin", "", "this-provider-mainland, other-provider-mainland or overseas")
	f.BoolVar(&x.originPull, "origin-pull", false, "the request is a CDN's that fetches from the origin")
	f.StringArrayVar(&x.policies, "policy", nil, "a policy `KNOB=VALUE`, for example gov=inherit; may be repeated")
	f.StringArrayVar(&x.exempt, "exempt", nil, "an exempt `NAME` or *.NAME; may be repeated")
	f.StringVar(&x.edge.Networks, "networks", "", "`FILE`: CIDR PROVIDER PRODUCT REGION [PLACE]")
	f.StringVar(&x.edge.Mainland, "mainland", "", "`FILE` of mainland prefixes, or .mmdb")
	f.BoolVar(&x.edge.MainlandAdd, "mainland-add", false, "the mainland file extends the built-in table in place of replacing it")
	f.IntVar(&x.edge.Confirm, "confirm", 0, "how many sources must agree that an address is in the mainland")
	f.StringVar(&x.edge.Bindings, "bindings", "", "`FILE`: NAME|*.NAME PRODUCT [acceleration=…] [origin=…]")
	f.StringVar(&x.edge.Suffixes, "suffixes", "", "`FILE`: CNAME suffix PROVIDER PRODUCT")
	f.StringVar(&x.edge.Profiles, "profiles", "", "`FILE`: PROVIDER|* PRODUCT access|filing [origin-here=access|filing]")
	f.BoolVar(&x.json, "json", false, "the same as -o json")
	f.StringVar(&x.lang, "lang", "", "en or zh; default: by locale")
	f.BoolVar(&x.exitCode, "exit-code", false, "exit with 3 where the name would be blocked")
	completePolicy(cmd)
	completeWords(cmd, "lang", "en", "zh")
	completeWords(cmd, "channel", "dns", "http", "https", "quic")
	completeWords(cmd, "product", productWords()...)
	completeWords(cmd, "acceleration", "mainland", "global", "overseas")
	completeWords(cmd, "origin", "this-provider-mainland", "other-provider-mainland", "overseas")
}

func productWords() (all []string) {
	for p := registry.ProductUnknown; p <= registry.Mail; p++ {
		all = append(all, p.String())
	}
	return all
}

func (x *explaining) run(cmd *cobra.Command, name string) error {
	if err := x.output.check(cmd); err != nil {
		return err
	}
	asked, err := x.parse(name)
	if err != nil {
		return usageError(cmd, err)
	}
	if x.record.given() || x.registry == "" && x.getenv(registryVariable) == "" && x.getenv(serverVariable) != "" {
		if x.registry != "" {
			return usageError(cmd, errors.New("--registry and --server, --dir or --db; name one of them"))
		}
		if x.record.server != "" || x.record.dir == "" && x.record.database == "" {
			return x.elsewhere(cmd, name, asked)
		}
		return x.ofRecord(cmd, asked)
	}
	ed, err := x.open()
	if err != nil {
		return err
	}
	defer ed.Close()
	return x.judge(ed, asked)
}

// judge explains by an edge.
func (x *explaining) judge(ed *edge.Edge, asked *question) error {
	verdicts := ed.Judge(asked.Question)
	if err := x.print(edge.Explain(asked.lang, verdicts)); err != nil {
		return fmt.Errorf("explanation could not be printed: %w", err)
	}
	if x.exitCode && edge.Worst(verdicts).Verdict.Block {
		return &exitError{code: exitFindings}
	}
	return nil
}

func (x *explaining) print(e edge.Explained) error {
	switch {
	case x.json || x.form == "json":
		return e.WriteJSON(x.stdout)
	case x.form == "csv":
		return x.output.print(x.stdout, listed(e))
	}
	return e.WriteText(x.stdout)
}

// listed is an explanation as rows, one an address.
func listed(e edge.Explained) listing {
	l := listing{whole: e, head: []string{"host", "addr", "verdict", "reason", "filed", "title", "revision"}}
	if len(e.Addresses) == 0 {
		l.rows = [][]string{{e.Host, "", e.Verdict, e.Reason.String(), e.Filed, e.Title, e.Revision.String()}}
	}
	for _, a := range e.Addresses {
		title := ""
		if a.Verdict == e.Verdict && a.Reason == e.Reason {
			title = e.Title
		}
		l.rows = append(l.rows, []string{e.Host, a.Addr, a.Verdict, a.Reason.String(), e.Filed, title, e.Revision.String()})
	}
	return l
}

// question is what an explanation is asked for, and in which language.
type question struct {
	edge.Question
	lang explain.Lang
}

// open assembles an edge of the flags.
func (x *explaining) open() (*edge.Edge, error) {
	x.edge.Registry = registryPath(x.registry, x.env)
	x.edge.Now = x.now
	x.edge.InMemory = true // one answer is not worth a copy
	ed, err := edge.Open(x.edge)
	if notFound(err) && strings.HasPrefix(err.Error(), "registry:") {
		return nil, withHint(err, "make a snapshot with: icp-registry import FILE... -o "+x.edge.Registry+
			", or name another with --registry or "+registryVariable)
	}
	return ed, err
}

// parse reads the words of the flags.
func (x *explaining) parse(name string) (*question, error) {
	q := &question{}
	var err error
	if q.lang, err = x.language(); err != nil {
		return nil, err
	}
	if q.Host, err = registry.ParseHost(name); err != nil {
		return nil, err
	}
	if q.Channel, err = registry.ParseChannel(x.channel); err != nil {
		return nil, err
	}
	for _, s := range x.ips {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("address %q: expect an IPv4 or IPv6 address", s)
		}
		q.Addrs = append(q.Addrs, a)
	}
	for _, s := range x.cnames {
		d, err := registry.ParseDNSName(s)
		if err != nil {
			return nil, err
		}
		q.CNAMEs = append(q.CNAMEs, d)
	}
	q.OriginPull = x.originPull
	if err := x.parseTold(&q.Told); err != nil {
		return nil, err
	}
	return q, x.parseEdge()
}

// parseTold reads what the flags know better than the data.
func (x *explaining) parseTold(t *edge.Told) (err error) {
	if x.addressProvider != "" {
		if t.AddressProvider, err = registry.ParseProviderID(x.addressProvider); err != nil {
			return err
		}
	}
	if t.Product, err = registry.ParseProduct(cmp.Or(x.product, "unknown")); err != nil {
		return err
	}
	if t.Acceleration, err = registry.ParseAcceleration(cmp.Or(x.acceleration, "unknown")); err != nil {
		return err
	}
	t.Origin, err = registry.ParseOrigin(cmp.Or(x.origin, "unknown"))
	return err
}

// parseEdge reads what belongs to the edge.
func (x *explaining) parseEdge() (err error) {
	if x.provider != "" {
		if x.edge.Provider, err = registry.ParseProviderID(x.provider); err != nil {
			return err
		}
	}
	if x.edge.Policy, err = policyOf(x.policies); err != nil {
		return err
	}
	for _, s := range x.exempt {
		name, below := strings.CutPrefix(s, "*.")
		d, err := registry.ParseDomain(name)
		if err != nil {
			return err
		}
		x.edge.Exempt = append(x.edge.Exempt, edge.Exempted{Name: d, Below: below, Exemption: registry.Exemption{Granted: true}})
	}
	return nil
}

// language is that of --lang, else of the locale.
func (x *explaining) language() (explain.Lang, error) {
	if x.lang != "" {
		return explain.ParseLang(x.lang)
	}
	return explain.FromLocale(cmp.Or(x.getenv("LC_ALL"), x.getenv("LC_MESSAGES"), x.getenv("LANG"))), nil
}
