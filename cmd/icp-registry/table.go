package main

import (
	"context"
	"net/url"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
)

// group is a command that only has others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Long: long, Args: noSuchCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(commands...)
	return cmd
}

// newAsking is what commands that talk to a registry of record begin with.
func newAsking(e env) *asking { return &asking{target: target{opening: opening{env: e}}} }

// pages asks for page after page; take takes one in and tells what to ask for next,
// "" for nothing.
func pages[P any](ctx context.Context, c *client, at string, q url.Values, take func(*P) (next string)) error {
	for {
		var p P
		if err := c.call(ctx, "GET", at+"?"+q.Encode(), nil, &p); err != nil {
			return err
		}
		next := take(&p)
		if next == "" {
			return nil
		}
		q.Set("after", next)
	}
}

// removeCommand takes something out by its id.
func removeCommand(e env, at, what, short string) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "remove ID --why REASON", Short: short, Args: needOne(what)}
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		return a.change(ctx, c, args[0], "POST", at+"/remove", api.Remove{ID: args[0], Why: a.why})
	})
}

// atMostOne refuses a second argument.
func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return needOne(what)(cmd, args)
		}
		return nil
	}
}
