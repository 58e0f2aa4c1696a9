package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
)

// ending are the flags that exempt and blacklist have in common.
type ending struct {
	asking
	end bool
}

// change has the service make a change of what has a name, and prints from which
// revision on it is in force.
func (a *asking) change(ctx context.Context, c *client, name, method, path string, in any) error {
	var out api.Changed
	if err := c.call(ctx, method, path, in, &out); err != nil {
		return err
	}
	out.Key = name
	return a.print(a.stdout, listing{out, []string{"name", "revision"}, [][]string{{name, out.Revision}}})
}

func exemptCommand(e env) *cobra.Command {
	a := ending{asking: asking{target: target{opening: opening{env: e}}}}
	var until string
	var authority bool
	cmd := &cobra.Command{
		Use:   "exempt [NAME|*.NAME] --why REASON",
		Short: "Let a name pass that the rules would block, for a time; without a name, list the exemptions",
		Long: `Exempts a name, or with *.NAME all names below it, from the rules of filings. An
exemption overrides neither the authority's blacklist nor a restriction, unless it
is made with --authority. Without a name all exemptions are listed.`,
		Example: `  icp-registry exempt shop.example.com --until 2026-12-01 --why "court order 3" --dir /var/lib/icp-registry
  icp-registry exempt shop.example.com --end --why "filed now" --dir /var/lib/icp-registry
  icp-registry exempt -o json --server https://registry.example --token-file token.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usageError(cmd, fmt.Errorf("%d names; expect one", len(args)))
			case len(args) == 1 && strings.TrimSpace(a.why) == "":
				return usageError(cmd, withHint(errors.New("no reason"), "say with --why what the exemption is for; the journal keeps it"))
			case len(args) == 0 && (a.end || until != "" || authority):
				return usageError(cmd, errors.New("no name given"))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&until, "until", "", "the `TIME` it ends, RFC 3339, or its last day in China, YYYY-MM-DD; default: when it is ended")
	f.BoolVar(&authority, "authority", false, "it overrides blacklisted and restricted, too: the authority said so")
	f.BoolVar(&a.end, "end", false, "end the exemption")
	f.StringVar(&a.why, "why", "", "the reason, for the journal")
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		if len(args) == 0 {
			return a.exemptions(ctx, c)
		}
		if a.end {
			return a.change(ctx, c, args[0], "POST", api.ExemptionsPath+"/end", map[string]string{"name": args[0], "why": a.why})
		}
		x := api.Exemption{Name: args[0], Authority: authority, Why: a.why}
		var err error
		if x.Until, err = timeOf(until); err != nil {
			return usageError(cmd, fmt.Errorf("--until %w", err))
		}
		if len(until) == len(time.DateOnly) { // the day is meant whole, as in files of exemptions
			x.Until = x.Until.AddDate(0, 0, 1)
		}
		return a.change(ctx, c, args[0], "PUT", api.ExemptionsPath, x)
	})
}

// timeOf reads a moment, or a day as its beginning in China; "" is the zero time.
func timeOf(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, time.FixedZone("CST", 8*3600)); err == nil {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("%q; expect for example 2026-12-01 or 2026-12-01T12:00:00+08:00", s)
}

func (a *asking) exemptions(ctx context.Context, c *client) error {
	var out api.Exemptions
	if err := c.call(ctx, "GET", api.ExemptionsPath, nil, &out); err != nil {
		return err
	}
	l := listing{whole: out.Exemptions, head: []string{"name", "until", "authority", "made", "who", "why"}}
	for _, x := range out.Exemptions {
		l.rows = append(l.rows, []string{x.Name, moment(x.Until), yes(x.Authority), moment(x.Made), x.Who, x.Why})
	}
	return a.print(a.stdout, l)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

func blacklistCommand(e env) *cobra.Command {
	a := ending{asking: asking{target: target{opening: opening{env: e}}}}
	cmd := &cobra.Command{
		Use:   "blacklist [NAME|ENTITY-NUMBER] --why REASON",
		Short: "Put a name, or an entity with all its names, on the blacklist, or take it off; without one, list it",
		Example: `  icp-registry blacklist -o csv --server https://registry.example --token-file token.txt
  icp-registry blacklist bad.example.com --why "notice 7" --dir /var/lib/icp-registry
  icp-registry blacklist 京ICP备12345678号 --end --why "notice 9" --dir /var/lib/icp-registry`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usageError(cmd, fmt.Errorf("%d arguments; expect one name or number", len(args)))
			case len(args) == 1 && strings.TrimSpace(a.why) == "":
				return usageError(cmd, withHint(errors.New("no reason"), "say with --why what the change is for, for example --why \"notice 7\"; the journal keeps it"))
			case len(args) == 0 && a.end:
				return usageError(cmd, errors.New("no name given"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&a.end, "end", false, "take it off")
	cmd.Flags().StringVar(&a.why, "why", "", "the reason, for the journal")
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		if len(args) == 0 {
			return a.blacklisted(ctx, c)
		}
		b := api.Blacklisting{Why: a.why}
		if _, _, err := registry.ParseNumber(args[0]); err == nil {
			b.Entity = args[0]
		} else {
			b.Name = args[0]
		}
		method, p := "PUT", api.BlacklistPath
		if a.end {
			method, p = "POST", api.BlacklistPath+"/end"
		}
		return a.change(ctx, c, args[0], method, p, b)
	})
}

func (a *asking) blacklisted(ctx context.Context, c *client) error {
	list := []api.Blacklisting{}
	err := pages(ctx, c, api.BlacklistPath, url.Values{}, func(p *api.Blacklist) string { list = append(list, p.Blacklist...); return p.Next })
	if err != nil {
		return err
	}
	l := listing{whole: list, head: []string{"name", "entity", "why"}}
	for _, b := range list {
		l.rows = append(l.rows, []string{b.Name, b.Entity, b.Why})
	}
	return a.print(a.stdout, l)
}
