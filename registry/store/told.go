package store

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/icpgate/icpgate/registry"
)

// What is written is checked to be a time that can be told everywhere. What a database
// holds already may be another one, of before that was checked: one such must not keep
// edges from all changes, or people from a whole list. It is read as the first or the
// last moment that can be told, and Check tells of it.

// tellable refuses a time that cannot be told, whatever zone it is told in.
func tellable(t time.Time) error {
	if s := t.Unix(); s < registry.FirstTime || s > registry.LastTime {
		return fmt.Errorf("the time is in the year %d; expect 0000-01-02 to 9999-12-30", t.UTC().Year())
	}
	return nil
}

// told is sec, or what can be told that is next to it.
func told(sec int64) int64 { return min(max(sec, registry.FirstTime), registry.LastTime) }

// china is the time zone in which filings are dated.
var china = time.FixedZone("CST", 8*3600)

func fromUnix(sec int64) time.Time { return time.Unix(told(sec), 0).In(china) }

func fromMilli(ms int64) time.Time {
	return time.UnixMilli(min(max(ms, registry.FirstTime*1000), registry.LastTime*1000)).UTC()
}

// milli is a time in Unix milliseconds; 0 is the zero time.
func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func unmilli(ms sql.NullInt64) time.Time {
	if ms.Int64 == 0 {
		return time.Time{}
	}
	return fromMilli(ms.Int64)
}

// untold are the checks of what is read as another time than it is.
var untold = func() (list []check) {
	for _, x := range []struct {
		table, column, what string
		unit                int64 // in a second
	}{
		{"site", "filed_at", "filings", 1},
		{"site", "updated_at", "filings", 1},
		{"access", "at", "accesses", 1},
		{"psb", "filed_at", "PSB filings", 1},
		{"exemption", "until", "exemptions", 1},
		{"token", "until", "tokens", 1000},
		{"sighting", "first_seen", "sightings", 1},
		{"sighting", "last_seen", "sightings", 1},
	} {
		list = append(list, check{
			fmt.Sprintf("SELECT count(*) FROM %s WHERE %s < %d OR %[2]s > %[4]d", x.table, x.column, registry.FirstTime*x.unit, registry.LastTime*x.unit),
			fmt.Sprintf("%s with a time that is in no year from 0 to 9999 everywhere, and is read as the next that is: give them another (%s.%s)", x.what, x.table, x.column),
		})
	}
	return list
}()
