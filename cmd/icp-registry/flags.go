package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/registry"
)

// registryVariable names the snapshot where no flag does; without it,
// defaultRegistry in the working directory is meant.
const (
	registryVariable = "ICP_REGISTRY"
	defaultRegistry  = "registry.icp"
)

func registryPath(flag string, e env) string {
	if flag != "" {
		return flag
	}
	if path := e.getenv(registryVariable); path != "" {
		return path
	}
	return defaultRegistry
}

// policyOf reads --policy KNOB=VALUE flags.
func policyOf(settings []string) (registry.Policy, error) {
	var p registry.Policy
	for _, s := range settings {
		knob, value, ok := strings.Cut(s, "=")
		if !ok {
			return p, fmt.Errorf("policy %q; expect KNOB=VALUE, for example gov=inherit", s)
		}
		if err := p.Set(strings.ReplaceAll(knob, "_", "-"), value); err != nil {
			return p, err
		}
	}
	return p, nil
}

// completeWords offers the words of an enumeration for a flag.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // a flag that the command does not have: a mistake in this package
	}
}

// completePolicy offers every knob with its values.
func completePolicy(cmd *cobra.Command) {
	var all []string
	for knob, values := range registry.Knobs() {
		for _, v := range values {
			all = append(all, knob+"="+v)
		}
	}
	completeWords(cmd, "policy", all...)
}

// needArgs refuses a command line without arguments; what names them.
func needArgs(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usageError(cmd, fmt.Errorf("no %s given", what))
		}
		return nil
	}
}

// notFound reports whether err is about a file that is not there.
func notFound(err error) bool { return errors.Is(err, fs.ErrNotExist) }
