package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
)

// changeable are the lists that are changed line by line; exemptions and servers have
// commands of their own.
var changeable = []string{"networks", "bindings", "suffixes", "profiles", "tlds"}

func listsCommand(e env) *cobra.Command {
	return group("lists", "Show and change the lists that edges decide by: networks, bindings, suffixes, profiles, tlds",
		`The lists that edges follow beside filings. Each entry is a line, as in the file of the
same name in an edge's icp block:

  networks   CIDR PROVIDER PRODUCT REGION [PLACE]
  bindings   NAME|*.NAME PRODUCT [acceleration=…] [origin=…]
  suffixes   CNAME-SUFFIX PROVIDER PRODUCT
  profiles   PROVIDER|* PRODUCT access|filing [origin-here=access|filing]
  tlds       TLD

Exemptions ("icp-registry exempt") and servers ("icp-registry server") can be shown as
well. What edges could not read is refused.`,
		listsShowCommand(e), listsSetCommand(e), listsRemoveCommand(e))
}

// completeLists offers lists as the first argument.
func completeLists(words []string) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

func listWords() (all []string) {
	for _, l := range registry.AllLists() {
		all = append(all, l.String())
	}
	return all
}

func listsShowCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{Use: "show LIST", Short: "Show a list", Args: needOne("list"), ValidArgsFunction: completeLists(listWords())}
	return a.command(cmd, false, func(ctx context.Context, c *client, args []string) error {
		var out api.Entries
		if err := c.call(ctx, "GET", api.ListsPath+"/"+args[0], nil, &out); err != nil {
			return err
		}
		l := listing{whole: out.Entries, head: []string{"key", "says"}}
		for _, x := range out.Entries {
			l.rows = append(l.rows, []string{x.Key, x.Value})
		}
		return a.print(a.stdout, l)
	})
}

// entryOf reads LIST and the words of a line.
func entryOf(args []string) (list, key, value string) {
	words := strings.Fields(strings.Join(args[1:], " "))
	n := 1
	if args[0] == registry.ListProfiles.String() {
		n = 2
	}
	n = min(n, len(words))
	return args[0], strings.Join(words[:n], " "), strings.Join(words[n:], " ")
}

// needEntry demands a list and a line.
func needEntry(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return usageError(cmd, fmt.Errorf("%d arguments; expect a list and what the entry is about", len(args)))
	}
	return nil
}

func listsSetCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{
		Use:   "set LIST LINE... --why REASON",
		Short: "Put an entry into a list, in place of the one about the same",
		Example: `  icp-registry lists set networks 203.0.113.0/24 aliyun ecs cn-hangzhou --why "new range" --dir /var/lib/icp-registry
  icp-registry lists set profiles cloud-a cdn access --why "contract 7" --server https://registry.example --token-file token.txt`,
		Args: needEntry, ValidArgsFunction: completeLists(changeable),
	}
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		return a.entry(ctx, c, args, false)
	})
}

func listsRemoveCommand(e env) *cobra.Command {
	a := newAsking(e)
	cmd := &cobra.Command{
		Use: "remove LIST KEY... --why REASON", Short: "Take an entry out of a list", Args: needEntry, ValidArgsFunction: completeLists(changeable),
		Example: `  icp-registry lists remove profiles cloud-a cdn --why "contract 7 ended" --dir /var/lib/icp-registry`,
	}
	return a.command(cmd, true, func(ctx context.Context, c *client, args []string) error {
		return a.entry(ctx, c, args, true)
	})
}

func (a *asking) entry(ctx context.Context, c *client, args []string, gone bool) error {
	list, key, value := entryOf(args)
	in := api.SetEntry{Entry: api.Entry{Key: key, Value: value}, Gone: gone, Why: a.why}
	return a.change(ctx, c, key, "PUT", api.ListsPath+"/"+list, in)
}
