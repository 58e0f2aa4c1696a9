package feed_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain runs a few histories of the model in the short form; with ICP_SOAK as
// many as rapid.checks says.
func TestMain(m *testing.M) {
	flag.Parse()
	set := false
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "rapid.checks" })
	if !set {
		checks := "8"
		if os.Getenv("ICP_SOAK") != "" {
			checks = "2000"
		}
		if err := flag.Set("rapid.checks", checks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
