// Package version tells what a program was built from.
package version

import (
	"runtime/debug"
	"strings"
)

// String returns the version of the module and, where it is known and the version
// does not say it already, the revision of its sources; "unknown" for a program
// that was built without a module.
func String() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && !strings.Contains(v, s.Value[:min(12, len(s.Value))]) {
			v += " " + s.Value
		}
	}
	return v
}
