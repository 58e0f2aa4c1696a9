package main

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
)

func serverCommand(e env) *cobra.Command {
	return group("server", "List, set and remove the provider's servers, whose addresses edges are told of",
		`A server is a resource of a provider that answers for domains. Edges are told of its
addresses with provider, product and place, and of nothing else. Its service numbers
("icp-registry service-number") tie filings to it.`,
		serverListCommand(e), serverSetCommand(e), removeCommand(e, api.ServersPath, "id", "Take out a server that has no service numbers"))
}

func serverListCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "list [ID]", Short: "List the servers, or one of them", Args: atMostOne("id")}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		list := []api.Server{}
		q := url.Values{}
		if len(args) > 0 {
			q.Set("id", args[0])
		}
		err := pages(ctx, c, api.ServersPath, q, func(p *api.Servers) string { list = append(list, p.Servers...); return p.Next })
		if err != nil {
			return err
		}
		l := listing{whole: list, head: []string{"id", "provider", "product", "region", "place", "addresses", "account", "quota"}}
		for _, v := range list {
			quota := ""
			if v.Quota != nil {
				quota = strconv.Itoa(*v.Quota)
			}
			l.rows = append(l.rows, []string{v.ID, v.Provider, v.Product, v.Region, v.Place, strings.Join(v.Addresses, " "), v.Account, quota})
		}
		return a.print(a.stdout, l)
	})
}

func serverSetCommand(e env) *cobra.Command {
	a := newAsking(e)
	var v api.Server
	var quota int
	cmd := &cobra.Command{
		Use:   "set ID --why REASON",
		Short: "Set facts of a server, or make it",
		Long: `Sets what the flags say of the server of an id, and leaves the rest as it is; where
there is none yet, it is made. --address names all of its addresses. The same command
again changes nothing.`,
		Example: `  icp-registry server set i-bp1 --provider aliyun --product ecs --region cn-hangzhou --address 203.0.113.7 --why "order 17" --dir /var/lib/icp-registry
  icp-registry server set i-bp1 --address 203.0.113.7,203.0.113.8 --why "order 18" --server https://registry.example --token-file token.txt`,
		Args: needOne("id"),
	}
	f := cmd.Flags()
	f.StringVar(&v.Provider, "provider", "", "whose it is")
	f.StringVar(&v.Product, "product", "", "for example ecs")
	f.StringVar(&v.Region, "region", "", "the provider's `WORD` for where it is")
	f.StringVar(&v.Place, "place", "", "where it is, for regions that do not tell it")
	f.StringSliceVar(&v.Addresses, "address", nil, "an `ADDRESS` or CIDR; may be repeated")
	f.StringVar(&v.Account, "account", "", "the account that owns it")
	f.IntVar(&quota, "quota", 0, "how many service numbers it may have in its life; default: as its product has")
	a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		var there api.Servers
		err := c.call(ctx, "GET", path(api.ServersPath, "id", args[0]), nil, &there)
		if err != nil && status(err) != http.StatusNotFound {
			return err
		}
		in := api.SetServer{Server: api.Server{ID: args[0]}, Why: a.why}
		if len(there.Servers) > 0 {
			in.Server = there.Servers[0]
		}
		given := cmd.Flags().Changed
		for name, set := range map[string]func(){
			"provider": func() { in.Provider = v.Provider }, "product": func() { in.Product = v.Product }, "region": func() { in.Region = v.Region },
			"place": func() { in.Place = v.Place }, "address": func() { in.Addresses = v.Addresses }, "account": func() { in.Account = v.Account },
			"quota": func() { in.Quota = &quota },
		} {
			if given(name) {
				set()
			}
		}
		return a.change(ctx, c, args[0], "PUT", api.ServersPath, in)
	})
	completeWords(cmd, "place", "mainland", "hong-kong", "macao", "taiwan", "overseas")
	completeWords(cmd, "product", productWords()...)
	return cmd
}

func serviceNumberCommand(e env) *cobra.Command {
	return group("service-number", "List, make, give, spend and remove service numbers of servers",
		`A service number (备案服务码) ties one filing to one server: it is made within the
quota of its server, may be given to another account, and is spent for ever once a
filing was made with it.`,
		serviceNumberListCommand(e), serviceNumberSetCommand(e), removeCommand(e, api.ServiceNumbersPath, "number", "Take out a service number that was not spent"))
}

func serviceNumberListCommand(e env) *cobra.Command {
	a := newAsking(e)
	of := ""
	cmd := &cobra.Command{Use: "list", Short: "List the service numbers, of one server or all", Args: needNone}
	cmd.Flags().StringVar(&of, "of", "", "of the server of this `ID` alone")
	return a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		list := []api.ServiceNumber{}
		q := url.Values{}
		if of != "" {
			q.Set("server", of)
		}
		err := pages(ctx, c, api.ServiceNumbersPath, q, func(p *api.ServiceNumbers) string { list = append(list, p.Numbers...); return p.Next })
		if err != nil {
			return err
		}
		l := listing{whole: list, head: []string{"number", "server", "state", "account", "filing"}}
		for _, n := range list {
			l.rows = append(l.rows, []string{n.Number, n.Server, n.State.String(), n.Account, n.Filing})
		}
		return a.print(a.stdout, l)
	})
}

func serviceNumberSetCommand(e env) *cobra.Command {
	a := newAsking(e)
	var in api.SetServiceNumber
	cmd := &cobra.Command{
		Use:   "set NUMBER --why REASON",
		Short: "Make a service number, give it to an account, or spend it for a filing",
		Example: `  icp-registry service-number set 9a1b2c3d --of i-bp1 --why "order 17" --dir /var/lib/icp-registry
  icp-registry service-number set 9a1b2c3d --filing example.com --why "filed" --dir /var/lib/icp-registry`,
		Args: needOne("number"),
	}
	f := cmd.Flags()
	f.StringVar(&in.Server, "of", "", "the `ID` of its server; needed to make it")
	f.StringVar(&in.Account, "account", "", "give it to this account")
	f.StringVar(&in.Filing, "filing", "", "spend it, for ever, for the filing of this `NAME`, number or key")
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		in.Number, in.Why = args[0], a.why
		return a.change(ctx, c, args[0], "PUT", api.ServiceNumbersPath, in)
	})
}
