// Package bulk reads filings from files: CSV tables, JSON lines, and the answers
// of tools that ask the ministry's public query.
//
//	report, err := bulk.Import(ctx, []string{"filings.csv"}, bulk.Options{}, builder.Add)
//	if err != nil {
//		… nothing of it may be used …
//	}
//	for _, p := range report.RefusedRows { fmt.Println(p) }
//
// Where filings need no order, ImportShared hands them on by all cores.
//
// Encoding (UTF-8, GB18030, UTF-16 with a mark) and form are found from the
// content unless they are told. A bad row is refused and named; it never spoils
// its file, except with Options.Strict. Rows that speak of the same filing are
// merged, so nothing is handed on before the last row is read.
//
// # Columns
//
// A CSV file has a header, in any order; headers of the public query's exports
// (域名, 服务许可证号, 主办单位 …) are understood as well. Empty is unknown.
// An apostrophe before a name that begins with =, +, - or @, in full width too, is
// left out: it is what keeps a spreadsheet from taking the name for a formula.
//
//	domain         the filed name; several, separated by spaces, for sites from before 2019-04-22; an address for kind ip
//	number         site number; one without an ordinal is taken for the entity's number
//	entity_number  entity number; absent: from number
//	entity_name    the entity's name
//	entity_nature  word, Chinese term or code of the filing form
//	site_name      the site's name
//	kind           site, app, mini-program, quick-app, ip; absent: from the letter behind the number
//	status         normal (also if empty), change-pending, first-filing-pending, add-site-pending, cancelled
//	province       only compared with the province of number
//	filed_at       RFC 3339, YYYY-MM-DD, or YYYY-MM-DD hh:mm:ss; the last two in China's time
//	updated_at     when the facts of this row were true; decides which row is believed
//	provider       an access provider; "-" or "none": known to have no access; empty: unknown
//	access_status  active (also if empty), first-review-passed, submitted, cancelled
//	accessed_at    since when the access is in that state; empty: no grace of 45 days
//	restricted     true or false, yes or no, 1 or 0, 是 or 否
//	covers         hosts that a government unit's filing also covers, separated by spaces
//	address        kind ip: the filed address; else the server's address in the filing
//
// JSON lines have the same keys, and domains, covers and accesses as lists
// ({"provider", "status", "accessed_at"}; absent: unknown, []: known to have
// none), nature and entity for entity_nature and entity_name, filed_ip for the
// server's address, cancelled_with_entity. An unknown key refuses the row.
//
// # Merging
//
// Rows with one site number are one filing; without a number, rows with one
// (first) domain and kind. A fact that several rows state is taken from the row
// with the newest updated_at (unknown is oldest), among equals from the later
// row; what a row leaves empty it does not state. Rows of one updated_at may
// list a domain each: these are united, since the public query has a row for
// each domain of a site. Accesses are united by provider. Whatever differs is
// counted and reported as a conflict.
//
// # Memory
//
// What is held grows with the rows that are not duplicates, about 60 bytes and
// the texts of each, and not with the size of the files; it is given back
// while the filings are handed on. Most of it has no pointers: a low GC percent
// costs little and keeps the process small.
//
// The package does not read XLSX or compressed files, and does not ask the
// ministry's query.
package bulk
