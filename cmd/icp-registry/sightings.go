package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
	"github.com/icpgate/icpgate/registry/store"
)

func handlingWords() (words []string) {
	for _, s := range store.HandlingStates() {
		words = append(words, string(s))
	}
	return words
}

func sightingsCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	var state, name, since string
	var limit int
	cmd := &cobra.Command{
		Use:   "sightings",
		Short: "List what edges blocked, or would have, and what was done about it",
		Long: `Lists the names that edges blocked, or in monitor mode would have blocked, last seen
first, with what staff did about each: open, notified, filed-since or closed. What
was done is noted with "icp-registry sightings handle".`,
		Example: `  icp-registry sightings --state open --since 2026-11-01 -o csv --server https://registry.example --token-file token.txt
  icp-registry sightings handle notified 3f2a… --note "mail to the owner" --dir /var/lib/icp-registry`,
		Args: noSuchCommand,
	}
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "only those in this `STATE`")
	f.StringVar(&name, "name", "", "only those of this registrable `NAME`")
	f.StringVar(&since, "since", "", "only those seen at this `TIME` or later")
	f.IntVar(&limit, "limit", 100, "at most so many; 0 is all")
	a.command(cmd, false, func(ctx context.Context, c *client, _ []string) error {
		q := url.Values{}
		if state != "" {
			q.Set("state", state)
		}
		if name != "" {
			q.Set("name", name)
		}
		at, err := timeOf(since)
		if err != nil {
			return usageError(cmd, fmt.Errorf("--since %w", err))
		}
		if !at.IsZero() {
			q.Set("since", at.UTC().Format(time.RFC3339))
		}
		list, err := sightingsOf(ctx, c, q, limit)
		if err != nil {
			return err
		}
		l := listing{whole: list, head: []string{"id", "name", "hosts", "addr", "reason", "channel", "mode", "first", "last", "hits", "state", "who", "note"}}
		for _, s := range list {
			l.rows = append(l.rows, []string{
				s.ID, s.Name, strings.Join(s.Hosts, " "), s.Addr, s.Reason, s.Channel, s.Mode, moment(s.First), moment(s.Last),
				strconv.FormatUint(s.Hits, 10), s.State, s.Who, s.Note,
			})
		}
		return a.print(a.stdout, l)
	})
	completeWords(cmd, "state", handlingWords()...)
	cmd.AddCommand(handleCommand(e))
	return cmd
}

// pageOf is how many sightings are asked for at once.
const pageOf = 1000

// sightingsOf asks for page after page until there are enough.
func sightingsOf(ctx context.Context, c *client, q url.Values, limit int) ([]api.SightingView, error) {
	list := []api.SightingView{}
	for {
		some := pageOf
		if limit > 0 {
			some = min(some, limit-len(list))
		}
		q.Set("limit", strconv.Itoa(some))
		var out struct {
			Sightings []api.SightingView `json:"sightings"`
			Next      string             `json:"next"`
		}
		if err := c.call(ctx, "GET", feed.SightingsPath+"?"+q.Encode(), nil, &out); err != nil {
			return nil, err
		}
		list = append(list, out.Sightings...)
		if out.Next == "" || limit > 0 && len(list) >= limit {
			return list, nil
		}
		q.Set("after", out.Next)
	}
}

func handleCommand(e env) *cobra.Command {
	a := asking{target: target{opening: opening{env: e}}}
	note := ""
	cmd := &cobra.Command{
		Use:   "handle STATE ID...",
		Short: "Note what was done about sightings: open, notified, filed-since or closed",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usageError(cmd, fmt.Errorf("%d arguments; expect a state (%s) and ids", len(args), strings.Join(handlingWords(), ", ")))
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return handlingWords(), cobra.ShellCompDirectiveNoFileComp
		},
	}
	cmd.Flags().StringVar(&note, "note", "", "what was done, for those who look later")
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		h := api.Handling{State: args[0], IDs: args[1:], Note: note}
		if err := c.call(ctx, "POST", api.HandlePath, h, nil); err != nil {
			return err
		}
		l := listing{whole: h, head: []string{"id", "state"}}
		for _, id := range h.IDs {
			l.rows = append(l.rows, []string{id, h.State})
		}
		return a.print(a.stdout, l)
	})
}
