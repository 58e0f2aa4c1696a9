package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
)

func historyCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{
		Use:   "history NAME|NUMBER",
		Short: "Show the journal of a name, a filing number or an address: who, when, why, before and after",
		Example: `  icp-registry history example.com --dir /var/lib/icp-registry
  icp-registry history 京ICP备12345678号-1 -o json --server https://registry.example --token-file token.txt`,
		Args: needOne("name, number or address"),
	}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		var out api.History
		if err := c.call(ctx, "GET", path(api.HistoryPath, "of", args[0]), nil, &out); err != nil {
			return err
		}
		l := listing{whole: out.Events, head: []string{"at", "rev", "who", "owner", "what", "key", "change", "why", "import"}}
		for _, e := range out.Events {
			rev := ""
			if e.Rev > 0 {
				rev = strconv.FormatUint(e.Rev, 10)
			}
			l.rows = append(l.rows, []string{moment(e.At), rev, e.Who, e.Owner, e.What, e.Key, difference(e.Was, e.Is), e.Why, e.Import})
		}
		if len(out.Events) == 0 {
			fmt.Fprintf(a.stderr, "nothing was ever done to %s\n", args[0])
		}
		return a.print(a.stdout, l)
	})
}

// difference says in a line what of a state became another.
func difference(was, is any) string {
	before, there := was.(map[string]any)
	after, stays := is.(map[string]any)
	switch {
	case !there && !stays:
		return ""
	case !stays:
		return "removed"
	}
	var keys, parts []string
	for k := range after {
		keys = append(keys, k)
	}
	for k := range before {
		if _, both := after[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		a, b := short(before[k]), short(after[k])
		switch {
		case a == b:
		case !there:
			parts = append(parts, k+"="+b)
		default:
			parts = append(parts, fmt.Sprintf("%s: %s → %s", k, a, b))
		}
	}
	if !there {
		return "made: " + strings.Join(parts, " ")
	}
	return strings.Join(parts, "; ")
}

// short writes a value of JSON.
func short(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case string:
		return v
	}
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}

func edgesCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{
		Use:   "edges",
		Short: "Show how the edges are: where, how far behind, and whether they equal the registry",
		Long: `Shows what the edges have last reported to a running service: name, owner, program,
revision, how many revisions behind it is, how old what it knows is, and whether its
digest is the registry's. Exit code 3 if one is behind by more than --behind
revisions, differs, or reports an error.`,
		Example: `  icp-registry edges --server https://registry.example --token-file token.txt`,
		Args:    needNone,
	}
	var behind uint64
	cmd.Flags().Uint64Var(&behind, "behind", 100, "how many `REVISIONS` an edge may be behind")
	return a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		if c.local {
			return usageError(cmd, withHint(fmt.Errorf("edges report to a service, and the database does not hold it"), "name the service with --server"))
		}
		var out struct {
			Revision string     `json:"revision"`
			Edges    []api.Edge `json:"edges"`
		}
		if err := c.call(ctx, "GET", "/v1/edges", nil, &out); err != nil {
			return err
		}
		l := listing{whole: out, head: []string{"name", "owner", "program", "revision", "behind", "age", "equal", "reported", "error"}}
		bad := false
		for _, e := range out.Edges {
			bad = bad || e.Status.Error != "" || e.Lag > behind || e.Lag == 0 && !e.Equal
			l.rows = append(l.rows, []string{
				e.Name, e.Owner, e.Status.Program, e.Status.Revision.String(), strconv.FormatUint(e.Lag, 10), fmt.Sprintf("%vs", e.Status.Age), yes(e.Equal), moment(e.At), e.Status.Error,
			})
		}
		if err := a.print(a.stdout, l); err != nil {
			return err
		}
		if bad {
			return &exitError{code: exitFindings}
		}
		return nil
	})
}

// needNone refuses arguments.
func needNone(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(cmd, fmt.Errorf("unexpected %q", args[0]))
	}
	return nil
}
