package main

import (
	"context"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

func personCommand(e env) *cobra.Command {
	return group("person", "List and set those who use the registry by name",
		`Persons are those who use the registry by name, with their roles. Programs, edges and
these commands show tokens ("icp-registry token"). A person is never taken out, since
the journal names who did what: --end ends what the person may do.`,
		personListCommand(e), personSetCommand(e))
}

func personListCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "list", Short: "List the persons, also those who may do nothing more", Args: needNone}
	return a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		var out api.Persons
		if err := c.call(ctx, "GET", api.PersonsPath, nil, &out); err != nil {
			return err
		}
		l := listing{whole: out.Persons, head: []string{"name", "roles", "made", "ended"}}
		for _, p := range out.Persons {
			l.rows = append(l.rows, []string{p.Name, strings.Join(p.Roles, ","), moment(p.Made), moment(p.Ended)})
		}
		return a.print(a.stdout, l)
	})
}

func personSetCommand(e env) *cobra.Command {
	a := newAsking(e)
	var in api.SetPerson
	cmd := &cobra.Command{
		Use:     "set NAME --why REASON",
		Short:   "Record a person with these roles, or end what the person may do",
		Example: `  icp-registry person set ann --role viewer,editor --why "new colleague" --dir /var/lib/icp-registry`,
		Args:    needOne("name"),
	}
	f := cmd.Flags()
	f.StringSliceVar(&in.Roles, "role", nil, "a `ROLE`; all of them are named")
	f.BoolVar(&in.Ended, "end", false, "the person may not use it any more")
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		in.Name, in.Why = args[0], a.why
		if err := c.call(ctx, "PUT", api.PersonsPath, in, nil); err != nil {
			return err
		}
		state := "good"
		if in.Ended {
			state = "ended"
		}
		return a.print(a.stdout, listing{
			map[string]any{"name": in.Name, "roles": append([]string{}, in.Roles...), "state": state},
			[]string{"name", "roles", "state"}, [][]string{{in.Name, strings.Join(in.Roles, ","), state}},
		})
	})
}

func entityCommand(e env) *cobra.Command {
	return group("entity", "Show, set and erase what is kept of an entity, personal data included",
		`An entity (主体) is who filed. Its name, where it is an individual, and its contact
are personal data: encrypted in the database, seen by tokens with the scope personal,
and never told to edges.`,
		entityShowCommand(e), entityContactCommand(e), entityEraseCommand(e))
}

func entityShowCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "show NUMBER", Short: "Show what is kept of an entity, personal data included", Args: needOne("entity number")}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		var out api.Entity
		if err := c.call(ctx, "GET", path(api.EntitiesPath, "number", args[0]), nil, &out); err != nil {
			return err
		}
		k := out.Contact
		return a.print(a.stdout, listing{
			out, []string{"number", "name", "nature", "blacklisted", "erased", "person", "phone", "mail", "address", "certificate_type", "certificate"},
			[][]string{{out.Number, out.Name, out.Nature, out.Blacklisted, moment(out.Erased), k.Person, k.Phone, k.Mail, k.Address, k.CertificateType, k.Certificate}},
		})
	})
}

func entityContactCommand(e env) *cobra.Command {
	a := newAsking(e)
	var k store.Contact
	cmd := &cobra.Command{
		Use:   "contact NUMBER --why REASON",
		Short: "Set the contact of an entity, encrypted",
		Long: `Sets what the flags say of the contact of an entity, and leaves the rest as it is; an
empty text takes it out. The journal tells that it was changed, and not to what.`,
		Example: `  icp-registry entity contact 京ICP备12345678号 --phone 010-5550100 --why "told us" --dir /var/lib/icp-registry`,
		Args:    needOne("entity number"),
	}
	f := cmd.Flags()
	fields := map[string]func(*store.Contact) *string{
		"person": func(k *store.Contact) *string { return &k.Person }, "phone": func(k *store.Contact) *string { return &k.Phone },
		"mail": func(k *store.Contact) *string { return &k.Mail }, "address": func(k *store.Contact) *string { return &k.Address },
		"certificate-type": func(k *store.Contact) *string { return &k.CertificateType }, "certificate": func(k *store.Contact) *string { return &k.Certificate },
	}
	for _, x := range []struct{ name, what string }{
		{"person", "who is to be asked for"}, {"phone", "the telephone number"}, {"mail", "the mail address"}, {"address", "the postal address"},
		{"certificate-type", "the kind of certificate"}, {"certificate", "its number"},
	} {
		f.StringVar(fields[x.name](&k), x.name, "", x.what)
	}
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		var there api.Entity
		if err := c.call(ctx, "GET", api.EntitiesPath+"?"+url.Values{"number": {args[0]}}.Encode(), nil, &there); err != nil {
			return err
		}
		in := api.SetContact{Number: args[0], Contact: there.Contact, Why: a.why}
		for name, field := range fields {
			if cmd.Flags().Changed(name) {
				*field(&in.Contact) = *field(&k)
			}
		}
		return a.change(ctx, c, args[0], "PUT", api.EntitiesPath+"/contact", in)
	})
}

func entityEraseCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{
		Use:   "erase NUMBER --why REASON",
		Short: "Remove the personal data of an entity, for ever",
		Long: `Removes the personal data of an entity, from its filings too, and keeps none of what
later imports tell. Backups made before still hold it, encrypted.`,
		Args: needOne("entity number"),
	}
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		return a.change(ctx, c, args[0], "POST", api.EntitiesPath+"/erase", map[string]string{"number": args[0], "why": a.why})
	})
}
