package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
)

// asking is a command that talks to a registry of record.
type asking struct {
	target
	output
	why string
}

// command adds the flags of who talks to a registry of record, and runs do.
func (a *asking) command(cmd *cobra.Command, needsWhy bool, do func(ctx context.Context, c *client, args []string) error) *cobra.Command {
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.output.check(cmd); err != nil {
			return err
		}
		if needsWhy && strings.TrimSpace(a.why) == "" {
			return usageError(cmd, withHint(errors.New("no reason"), "say with --why what the change is for, for example --why \"order 17\"; the journal keeps it"))
		}
		return a.asked(cmd, func(ctx context.Context, c *client) error { return do(ctx, c, args) })
	}
	f := cmd.Flags()
	f.SortFlags = false
	if needsWhy {
		f.StringVar(&a.why, "why", "", "the reason, for the journal")
	}
	a.output.flags(cmd)
	a.target.flags(cmd)
	return cmd
}

func path(p, key, value string) string { return p + "?" + url.Values{key: {value}}.Encode() }

// changed prints what a change made.
func (a *asking) changed(out api.Changed) error {
	for _, w := range out.Warnings {
		fmt.Fprintln(a.stderr, "warning:", w)
	}
	if out.Shell {
		fmt.Fprintln(a.stderr, "warning: that was the last access: it is a shell site now, whose number may be cancelled")
	}
	return a.print(a.stdout, listing{out, []string{"filing", "revision"}, [][]string{{out.Key, out.Revision}}})
}

// setting are the facts that set sets.
type setting struct {
	asking
	fresh      bool
	texts      map[string]*string
	domains    []string
	covers     []string
	restricted bool
	provider   string
	access     string
	accessedAt string
}

// factFlags are the facts that are one text each.
var factFlags = []struct{ name, what string }{
	{"status", "its status, for example normal or cancelled"},
	{"number", "its number, with the ordinal"},
	{"kind", "site, app, mini-program, fast-app or ip"},
	{"site-name", "the name of the site"},
	{"entity-number", "the number of who filed"},
	{"entity-name", "the name of who filed"},
	{"entity-nature", "enterprise, individual, government and others"},
	{"filed-at", "when it was filed, RFC 3339 or YYYY-MM-DD"},
	{"updated-at", "when the authority changed it last"},
	{"address", "the address that is filed"},
}

func setCommand(e env) *cobra.Command {
	s := setting{asking: asking{target: target{opening: opening{env: e}}}, texts: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "set NAME|NUMBER --why REASON",
		Short: "Set facts of one filing, or its access with a provider",
		Long: `Sets what the flags say of the filing of a name, a filing number, an address or a
key, and leaves the rest as it is. With --new there may be none yet: then one is
made. With --provider it is the access with that provider that is set.

The same command again changes nothing. A change is in force at the edges within
a second.`,
		Example: `  icp-registry set example.com --restricted --why "notice 12" --server https://registry.example --token-file token.txt
  icp-registry set example.com --provider aliyun --access active --why "order 17" --dir /var/lib/icp-registry
  icp-registry set example.com --new --number 京ICP备12345678号-1 --provider aliyun --why "order 18"`,
		Args: needOne("name, number or address"),
	}
	f := cmd.Flags()
	f.BoolVar(&s.fresh, "new", false, "make the filing if there is none")
	for _, x := range factFlags {
		s.texts[x.name] = f.String(x.name, "", x.what)
	}
	f.StringSliceVar(&s.domains, "domain", nil, "its `NAME`; several on old sites only")
	f.BoolVar(&s.restricted, "restricted", false, "the authority has restricted access; --restricted=false takes it back")
	f.StringSliceVar(&s.covers, "covers", nil, "hosts below a government name that it covers, too")
	f.StringVar(&s.provider, "provider", "", "set the access with this `PROVIDER`")
	f.StringVar(&s.access, "access", "active", "active, first-review-passed, submitted or cancelled")
	f.StringVar(&s.accessedAt, "accessed-at", "", "when the access became so")
	s.command(cmd, true, func(ctx context.Context, c *client, args []string) error { return s.run(ctx, cmd, c, args[0]) })
	completeWords(cmd, "status", "normal", "cancelled")
	completeWords(cmd, "access", "active", "first-review-passed", "submitted", "cancelled")
	completeWords(cmd, "kind", "site", "app", "mini-program", "fast-app", "ip")
	return cmd
}

// row is what the flags say, and whether they say anything.
func (s *setting) row(cmd *cobra.Command) (r api.Row, said bool) {
	given := cmd.Flags().Changed
	for name, to := range map[string]**string{
		"status": &r.Status, "number": &r.Number, "kind": &r.Kind, "site-name": &r.SiteName, "entity-number": &r.EntityNumber,
		"entity-name": &r.EntityName, "entity-nature": &r.EntityNature, "filed-at": &r.FiledAt, "updated-at": &r.UpdatedAt, "address": &r.Address,
	} {
		if given(name) {
			*to, said = s.texts[name], true
		}
	}
	if given("domain") {
		r.Domains, said = &s.domains, true
	}
	if given("covers") {
		r.Covers, said = &s.covers, true
	}
	if given("restricted") {
		r.Restricted, said = &s.restricted, true
	}
	return r, said
}

func (s *setting) run(ctx context.Context, cmd *cobra.Command, c *client, of string) error {
	row, said := s.row(cmd)
	if s.provider == "" && (cmd.Flags().Changed("access") || s.accessedAt != "") {
		return usageError(cmd, errors.New("--access and --accessed-at go with --provider"))
	}
	if !said && s.provider == "" && !s.fresh {
		return usageError(cmd, errors.New("nothing to set"))
	}
	var there api.Filings
	if err := c.call(ctx, "GET", path(api.FilingsPath, "of", of), nil, &there); err != nil {
		return err
	}
	access := api.Access{Provider: s.provider, Status: s.access, AccessedAt: s.accessedAt}
	if len(there.Filings) == 0 {
		if !s.fresh {
			return withHint(fmt.Errorf("there is no filing of %q", of), "see whether it is written rightly; --new makes one")
		}
		return s.make(ctx, c, of, row, access)
	}
	var out api.Changed
	if said {
		if err := c.call(ctx, "PATCH", api.FilingsPath, api.SetFiling{Of: of, Why: s.why, Set: row}, &out); err != nil {
			return err
		}
		of = out.Key
	}
	if s.provider != "" {
		if err := c.call(ctx, "PUT", api.FilingsPath+"/access", api.SetAccess{Of: of, Why: s.why, Access: access}, &out); err != nil {
			return err
		}
	}
	if out.Key == "" {
		return withHint(fmt.Errorf("there is a filing of %q already, and nothing to set", of), "icp-registry history shows what it is")
	}
	return s.changed(out)
}

// make makes a filing of a name, an address or a number.
func (s *setting) make(ctx context.Context, c *client, of string, row api.Row, access api.Access) error {
	switch {
	case row.Domains != nil || row.Kind != nil && *row.Kind == "ip":
	case strings.Contains(of, "ICP"):
		return withHint(fmt.Errorf("no name for the new filing %q", of), "name it with --domain, or give the name first and the number with --number")
	default:
		row.Domains = &[]string{of}
	}
	if row.Kind != nil && *row.Kind == "ip" && row.Address == nil {
		row.Address = &of
	}
	if access.Provider != "" {
		row.Accesses = &[]api.Access{access}
	}
	var out api.Changed
	if err := c.call(ctx, "PATCH", api.FilingsPath, api.SetFiling{Why: s.why, Set: row}, &out); err != nil {
		return err
	}
	return s.changed(out)
}

func cancelCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	var b api.Cancel
	cmd := &cobra.Command{
		Use:   "cancel NAME|NUMBER --why REASON",
		Short: "Cancel one filing, or its access with a provider",
		Long: `Cancels the filing (注销) of a name, a filing number, an address or a key; with
--provider the access (取消接入) with that provider alone. The journal keeps what it
was.`,
		Example: `  icp-registry cancel example.com --provider aliyun --why "moved away" --dir /var/lib/icp-registry`,
		Args:    needOne("name, number or address"),
	}
	f := cmd.Flags()
	f.StringVar(&b.Provider, "provider", "", "cancel the access with this `PROVIDER`, and not the filing")
	f.BoolVar(&b.Remove, "remove", false, "take the filing out, as if it had never been made: for what was entered by mistake")
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		b.Of, b.Why = args[0], a.why
		var out api.Changed
		if err := c.call(ctx, "POST", api.FilingsPath+"/cancel", b, &out); err != nil {
			return err
		}
		return a.changed(out)
	})
}
