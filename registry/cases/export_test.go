package cases

import "github.com/icpgate/icpgate/registry"

// FilingsOf are the filings of a case that the import takes.
func FilingsOf(c Case) []registry.Filing {
	taken, _ := c.filings()
	return taken
}
