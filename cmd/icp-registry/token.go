package main

import (
	"context"
	"fmt"
	"net/http"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// edgeScopes are those of an edge's token.
var edgeScopes = []string{store.ScopeFeed, store.ScopeCoverage, store.ScopeSightings, store.ScopeStatus}

func tokenCommand(e env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make, list and revoke the tokens of edges and people",
		Long: `A token is a secret that is shown once, when it is made; the database holds its
hash. Each has an owner and scopes:

  feed, coverage, sightings, status   what an edge needs ("edge" stands for all four)
  read, personal                      see the registry; also personal data
  write, import, approve, admin       change it; confirm what another owner prepared`,
		Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tokenCreateCommand(e), tokenListCommand(e), tokenRevokeCommand(e))
	return cmd
}

// who is whom the journal names.
func who() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}

// maxTokenDays is about a hundred years: a slip, not a plan.
const maxTokenDays = 36_500

func tokenCreateCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	var scopes []string
	var note string
	var days int
	cmd := &cobra.Command{
		Use:   "create OWNER --scope SCOPE... (--server URL | --dir DIRECTORY)",
		Short: "Make a token and print its secret",
		Example: `  icp-registry token create edge-7 --scope edge --days 400 --dir /var/lib/icp-registry >token.txt
  icp-registry token create ann --scope read,write --server https://registry.example --token-file admin.txt >ann.txt`,
		Args: needOne("owner"),
	}
	f := cmd.Flags()
	f.StringSliceVar(&scopes, "scope", nil, "a `SCOPE`; may be repeated")
	f.StringVar(&note, "note", "", "what it is for")
	f.IntVar(&days, "days", 0, "for how many days it is good; default: until it is revoked")
	completeWords(cmd, "scope", append([]string{"edge"}, store.Scopes()...)...)
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		k := api.NewToken{Owner: args[0], Note: note, Scopes: scopesOf(scopes)}
		if f.Changed("days") {
			if days < 1 || days > maxTokenDays { // none at all would be a token without an end
				return usageError(cmd, fmt.Errorf("--days %d; expect 1 to %d, or leave it out for a token that is good until it is revoked", days, maxTokenDays))
			}
			k.Until = e.now().Add(time.Duration(days) * day)
		}
		var made api.MadeToken
		err := c.call(ctx, "POST", api.TokensPath, k, &made)
		if status(err) == http.StatusUnprocessableEntity {
			return usageError(cmd, err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(e.stderr, "token %s of %s: %s; the secret is shown this once\n", made.Token.ID, made.Token.Owner, strings.Join(made.Token.Scopes, ", "))
		if a.form == "table" {
			fmt.Fprintln(e.stdout, made.Secret)
			return nil
		}
		return a.print(e.stdout, listing{made, []string{"id", "secret"}, [][]string{{made.Token.ID, made.Secret}}})
	})
}

// scopesOf reads scopes, of which "edge" stands for four.
func scopesOf(words []string) (scopes []string) {
	for _, w := range words {
		add := []string{w}
		if w == "edge" {
			add = edgeScopes
		}
		for _, s := range add {
			if !slices.Contains(scopes, s) {
				scopes = append(scopes, s)
			}
		}
	}
	return scopes
}

func tokenListCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{Use: "list", Short: "List the tokens, without their secrets", Args: needNone}
	return a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		var out api.TokenList
		if err := c.call(ctx, "GET", api.TokensPath, nil, &out); err != nil {
			return err
		}
		l := listing{whole: out.Tokens, head: []string{"id", "owner", "scopes", "made", "state", "used", "note"}}
		for _, k := range out.Tokens {
			l.rows = append(l.rows, []string{k.ID, k.Owner, strings.Join(k.Scopes, ","), k.Made.Format(time.DateOnly), stateOf(k, e.now()), moment(k.Used), k.Note})
		}
		return a.print(e.stdout, l)
	})
}

func stateOf(k store.Token, now time.Time) string {
	switch {
	case !k.Revoked.IsZero():
		return "revoked " + k.Revoked.Format(time.DateOnly)
	case !k.Until.IsZero() && !now.Before(k.Until):
		return "expired " + k.Until.Format(time.DateOnly)
	case !k.Until.IsZero():
		return "good until " + k.Until.Format(time.DateOnly)
	}
	return "good"
}

func tokenRevokeCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{Use: "revoke ID", Short: "End a token for ever", Args: needOne("id")}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		if err := c.call(ctx, "DELETE", api.TokensPath+"/"+args[0], nil, nil); err != nil {
			return err
		}
		return a.print(e.stdout, listing{map[string]string{"id": args[0], "state": "revoked"}, []string{"id", "state"}, [][]string{{args[0], "revoked"}}})
	})
}

// needOne demands one argument.
func needOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(cmd, fmt.Errorf("%d arguments; expect one %s", len(args), what))
		}
		return nil
	}
}
