package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

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

func tokenCreateCommand(e env) *cobra.Command {
	o := opening{env: e}
	var scopes []string
	var note string
	var days int
	cmd := &cobra.Command{
		Use:     "create OWNER --scope SCOPE... --dir DIRECTORY",
		Short:   "Make a token and print its secret",
		Example: "  icp-registry token create edge-7 --scope edge --days 400 --dir /var/lib/icp-registry >token.txt",
		Args:    needOne("owner"),
		RunE: func(cmd *cobra.Command, args []string) error {
			k := store.Token{Owner: args[0], Note: note, Scopes: scopesOf(scopes)}
			if days > 0 {
				k.Until = e.now().Add(time.Duration(days) * 24 * time.Hour)
			}
			s, err := o.open(cmd.Context(), cmd, "icp-registry token")
			if err != nil {
				return err
			}
			defer s.Close()
			made, secret, err := s.NewToken(cmd.Context(), store.By{Who: who(), Why: "token create"}, k)
			if errors.Is(err, store.ErrInvalid) {
				return usageError(cmd, err)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(e.stderr, "token %s of %s: %s; the secret is shown this once\n", made.ID, made.Owner, strings.Join(made.Scopes, ", "))
			fmt.Fprintln(e.stdout, secret)
			return nil
		},
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.StringSliceVar(&scopes, "scope", nil, "a `SCOPE`; may be repeated")
	f.StringVar(&note, "note", "", "what it is for")
	f.IntVar(&days, "days", 0, "for how many days it is good; default: until it is revoked")
	completeWords(cmd, "scope", append([]string{"edge"}, store.Scopes()...)...)
	return cmd
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
	o := opening{env: e}
	output := ""
	cmd := &cobra.Command{
		Use:   "list --dir DIRECTORY",
		Short: "List the tokens, without their secrets",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "table" && output != "json" {
				return usageError(cmd, fmt.Errorf("output %q; expect table or json", output))
			}
			s, err := o.open(cmd.Context(), cmd, "icp-registry token")
			if err != nil {
				return err
			}
			defer s.Close()
			list, err := s.Tokens(cmd.Context())
			if err != nil {
				return err
			}
			if output == "json" {
				return json.NewEncoder(e.stdout).Encode(list)
			}
			t := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "ID\tOWNER\tSCOPES\tMADE\tSTATE\tNOTE")
			for _, k := range list {
				fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Owner, strings.Join(k.Scopes, ","), k.Made.Format(time.DateOnly), stateOf(k, e.now()), k.Note)
			}
			return t.Flush()
		},
	}
	o.flags(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	completeWords(cmd, "output", "table", "json")
	return cmd
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
	o := opening{env: e}
	cmd := &cobra.Command{
		Use:   "revoke ID --dir DIRECTORY",
		Short: "End a token for ever",
		Args:  needOne("id"),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.open(cmd.Context(), cmd, "icp-registry token")
			if err != nil {
				return err
			}
			defer s.Close()
			return s.RevokeToken(cmd.Context(), store.By{Who: who(), Why: "token revoke"}, args[0])
		},
	}
	o.flags(cmd)
	return cmd
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
