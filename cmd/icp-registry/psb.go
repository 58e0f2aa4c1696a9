package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
)

func psbCommand(e env) *cobra.Command {
	return group("psb", "List, set and remove filings with public security",
		`A filing with public security (公安联网备案) is due 30 days after a site has opened.
Edges are not told of it, and nothing is decided by it.`,
		psbListCommand(e), psbSetCommand(e), removeCommand(e, api.PSBPath, "number", "Take out a filing with public security"))
}

func psbListCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "list [NAME|NUMBER]", Short: "List the filings with public security, of a name, or one of them", Args: atMostOne("name or number")}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		list := []api.PSB{}
		q := url.Values{}
		if len(args) > 0 {
			q.Set("name", args[0])
			if _, _, err := registry.ParsePSBNumber(args[0]); err == nil {
				q = url.Values{"number": {args[0]}}
			}
		}
		err := pages(ctx, c, api.PSBPath, q, func(p *api.PSBs) string { list = append(list, p.PSB...); return p.Next })
		if err != nil {
			return err
		}
		l := listing{whole: list, head: []string{"number", "name", "filed"}}
		for _, p := range list {
			filed := ""
			if !p.FiledAt.IsZero() {
				filed = p.FiledAt.In(time.FixedZone("CST", 8*3600)).Format(time.DateOnly)
			}
			l.rows = append(l.rows, []string{p.Number, p.Name, filed})
		}
		return a.print(a.stdout, l)
	})
}

func psbSetCommand(e env) *cobra.Command {
	a := newAsking(e)
	name, filed := "", ""
	cmd := &cobra.Command{
		Use:     "set NUMBER --name NAME --why REASON",
		Short:   "Record a filing with public security, in place of the one of its number",
		Example: `  icp-registry psb set 京公网安备11010802020134号 --name example.com --filed-at 2024-01-02 --why "seen on the site" --dir /var/lib/icp-registry`,
		Args:    needOne("number"),
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "the domain")
	f.StringVar(&filed, "filed-at", "", "when it was filed, RFC 3339 or YYYY-MM-DD")
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		at, err := timeOf(filed)
		if err != nil {
			return usageError(cmd, fmt.Errorf("--filed-at %w", err))
		}
		in := api.SetPSB{PSB: api.PSB{Number: args[0], Name: name, FiledAt: at}, Why: a.why}
		return a.change(ctx, c, args[0], "PUT", api.PSBPath, in)
	})
}
