// Command icp-registry is what the provider's compliance staff work with: it keeps
// the registry of record and serves it to the edges, imports and changes filings,
// explains verdicts, and tests the rules.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/icpgate/icpgate/cmd/internal/version"
)

// The exit codes. They stand in the help of the root command.
const (
	exitFailed   = 1 // it could not be done, or a case failed
	exitUsage    = 2 // the command line is wrong
	exitFindings = 3 // it was done, but something calls for attention
)

// env is what a command has of the world. Commands take the clock and the
// environment from it alone.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	now            func() time.Time
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], env{os.Stdin, os.Stdout, os.Stderr, os.Getenv, time.Now}))
}

// untilSignal ends a context with the first signal, so that a command can take
// away what it has half written. The second one ends the program at once,
// whatever it waits for. Commands that write no file leave signals alone.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run runs one command line and returns its exit code.
func run(ctx context.Context, args []string, e env) int {
	root := rootCommand(e)
	root.SetArgs(args)
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	return report(root.ExecuteContext(ctx), e.stderr)
}

func rootCommand(e env) *cobra.Command {
	root := &cobra.Command{
		Use:   "icp-registry",
		Short: "Keep the registry of ICP filings and serve it to edges, explain verdicts, test rules",
		Long: `icp-registry keeps the registry of ICP filings (ICP备案) that the edges decide by.

Exit codes: 0 done; 1 failed, or a case of test-rules failed; 2 wrong usage;
3 done, but something calls for attention: rows were refused or a second person
must approve (import), the name would be blocked (explain --exit-code), an edge is
behind (edges), or something is to be mended (doctor).

Commands that read or change the registry of record ask a service (--server URL with
--token-file FILE) or, where none runs, open its directory or database (--dir, --db).`,
		Example: `  icp-registry import filings.csv -o registry.icp
  icp-registry explain www.example.com --registry registry.icp --provider aliyun
  icp-registry test-rules cases.jsonl --policy gov=inherit`,
		Version:       version.String(),
		SilenceErrors: true, // report prints them, with their hint
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SuggestionsMinimumDistance = 2 // letters; cobra's own default is only set where it looks itself
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usageError(cmd, err) })
	root.AddCommand(
		serveCommand(e), tokenCommand(e), doctorCommand(e), backupCommand(e), restoreCommand(e),
		importCommand(e), setCommand(e), cancelCommand(e), exemptCommand(e), blacklistCommand(e), listsCommand(e), historyCommand(e),
		serverCommand(e), serviceNumberCommand(e), psbCommand(e), entityCommand(e), personCommand(e),
		edgesCommand(e), sightingsCommand(e), snapshotCommand(e), exportCommand(e), explainCommand(e), testRulesCommand(e),
		manCommand(),
	)
	return root
}

// noSuchCommand refuses a first word that is no command, with what it may have
// been meant for.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	err := fmt.Errorf("unknown command %q", args[0])
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return usageError(cmd, withHint(err, "did you mean "+strings.Join(near, " or ")+"?"))
	}
	return usageError(cmd, err)
}

// exitError ends the program with a code of its own; err may be nil where all
// that there is to say was said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// hinted is an error with what to do next.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

// usageError is a mistake of the command line.
func usageError(cmd *cobra.Command, err error) error {
	if h := (*hinted)(nil); !errors.As(err, &h) {
		err = withHint(err, fmt.Sprintf("%s --help shows how it is used", cmd.CommandPath()))
	}
	return &exitError{exitUsage, err}
}

// report prints an error with its hint and returns the exit code.
func report(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	code := exitFailed
	if x := (*exitError)(nil); errors.As(err, &x) {
		if code = x.code; x.err == nil {
			return code
		}
	}
	fmt.Fprintln(w, "icp-registry:", err)
	if h := (*hinted)(nil); errors.As(err, &h) {
		fmt.Fprintln(w, "hint:", h.hint)
	}
	return code
}
