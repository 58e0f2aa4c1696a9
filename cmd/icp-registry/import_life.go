package main

import (
	"context"
	"net/http"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// importCommands are what can be done with an import once it is staged.
func importCommands(e env) []*cobra.Command {
	list := asking{target: target{opening: opening{env: e}}}
	limit := 20
	listCmd := list.command(&cobra.Command{Use: "list", Short: "List the newest imports", Args: needNone}, false,
		func(ctx context.Context, c *client, _ []string) error {
			var out api.Imports
			if err := c.call(ctx, http.MethodGet, path(api.ImportsPath, "limit", strconv.Itoa(limit)), nil, &out); err != nil {
				return err
			}
			l := life{env: e, output: list.output, c: c}
			return l.show(out.Imports...)
		})
	listCmd.Flags().IntVar(&limit, "limit", limit, "how many")
	return []*cobra.Command{
		listCmd,
		importVerb(e, "show ID", "Show an import, what was found in its files, and how far it is", false, "", nil),
		importVerb(e, "approve ID --why REASON", "Approve an import that waits for a second person, with a token of another owner", true, "approve", nil),
		importVerb(e, "publish ID", "Bring an import into force, or go on where that was interrupted", false, "", (*life).publish),
		importVerb(e, "undo ID --why REASON", "Take an import back: what it changed becomes what it was", true, "undo", (*life).publish),
		importVerb(e, "drop ID --why REASON", "Give an import up of which nothing is in force", true, "drop", nil),
	}
}

// importVerb asks for what is done to an import: verb is the service's word for it,
// "" for nothing; then, if not nil, is done with what comes of it.
func importVerb(e env, use, short string, needsWhy bool, verb string, then func(*life, context.Context, string) (api.Import, error)) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	cmd := &cobra.Command{Use: use, Short: short, Args: needOne("id")}
	if verb == "" && then != nil {
		cmd.Aliases = []string{"resume"}
	}
	return a.command(cmd, needsWhy, func(ctx context.Context, c *client, args []string) error {
		l := life{env: e, output: a.output, c: c}
		var i api.Import
		var err error
		if verb == "" {
			err = c.call(ctx, http.MethodGet, api.ImportsPath+"/"+args[0], nil, &i)
		} else {
			err = c.call(ctx, http.MethodPost, api.ImportsPath+"/"+args[0]+"/"+verb, map[string]string{"why": a.why}, &i)
		}
		if err == nil && then != nil {
			i, err = then(&l, ctx, i.ID)
		}
		if err != nil {
			return err
		}
		if err := l.show(i); err != nil {
			return err
		}
		if i.State != store.ImportDropped {
			next(e.stderr, i)
		}
		return nil
	})
}
