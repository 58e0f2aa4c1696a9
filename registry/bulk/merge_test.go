package bulk_test

import (
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/bulk"
)

func conflicts(r bulk.Report) string {
	var list []string
	for _, c := range r.ConflictList {
		list = append(list, c.Column+" "+c.Kept+"/"+c.Dropped)
	}
	return strings.Join(list, "; ")
}

func TestMerge(t *testing.T) {
	const n = "京ICP备00000001号-1"
	const shown = "number=京ICP备00000001号-1; entity=京ICP备00000001号"
	tests := []struct{ name, header, rows, want, conflicts string }{
		{"accesses are united", "domain,number,provider", "a.com,N,x\na.com,N,y", "domains=a.com; NN; accesses=[x:active y:active]", ""},
		{"unknown and known", "domain,number,provider", "a.com,N,\na.com,N,y\na.com,N,", "domains=a.com; NN; accesses=[y:active]", ""},
		{"without a number", "domain,provider", "a.com,x\nA.com,y", "domains=a.com; accesses=[x:active y:active]", ""},
		{"newer", "domain,site_name,updated_at", "a.com,new,2024-01-02\na.com,old,2024-01-01", "domains=a.com; site=new; updated=2024-01-02", "site_name new/old"},
		{"newer, the other way", "domain,site_name,updated_at", "a.com,old,2024-01-01\na.com,new,2024-01-02", "domains=a.com; site=new; updated=2024-01-02", "site_name new/old"},
		{"unknown is oldest", "domain,site_name,updated_at", "a.com,new,2024-01-01\na.com,old,", "domains=a.com; site=new; updated=2024-01-01", "site_name new/old"},
		{"tie", "domain,site_name,updated_at", "a.com,x,2024-01-01\na.com,y,2024-01-01", "domains=a.com; site=y; updated=2024-01-01", "site_name y/x"},
		{"what is not stated stays", "domain,site_name,status,restricted,updated_at", "a.com,x,cancelled,true,2024-01-01\na.com,,,,2024-01-02", "domains=a.com; site=x; status=cancelled; restricted=true; updated=2024-01-02", ""},
		{"each fact by its own age", "domain,site_name,entity_name,updated_at", "a.com,s1,e1,2024-01-01\na.com,,e3,2024-01-03\na.com,s2,e2,2024-01-02", "domains=a.com; name=e3; site=s2; updated=2024-01-03", "entity_name e2/e1; site_name s2/s1; entity_name e3/e2"},
		{"all facts", "domain,number,entity_number,entity_nature,status,filed_at,restricted,covers,address,updated_at",
			"a.gov.cn,N,京ICP备00000001号,1,normal,2020-01-01,no,img,192.0.2.1,2020-01-01\na.gov.cn,N,沪ICP备00000001号,2,cancelled,2020-01-02,yes,img2,192.0.2.2,2020-01-02",
			"domains=a.gov.cn; number=" + n + "; entity=沪ICP备00000001号; nature=government; status=cancelled; restricted=true; filed=2020-01-02; updated=2020-01-02; covers=img2; filed-addr=192.0.2.2",
			"entity_number 沪ICP备00000001号/京ICP备00000001号; entity_nature government/defence; status cancelled/normal; filed_at 2020-01-02T00:00:00+08:00/2020-01-01T00:00:00+08:00; restricted true/false; covers img2/img; filed_ip 192.0.2.2/192.0.2.1"},
		{"kind of an unlettered number", "domain,number,kind", "a.com,N,app\na.com,N,", "domains=a.com; NN; kind=app", ""},

		{"a row for each domain", "domain,number,filed_at", "a.com,N,2015-01-01\nb.com,N,2015-01-01", "domains=a.com b.com; NN; filed=2015-01-01", ""},
		{"newer domains", "domain,number,filed_at,updated_at", "a.com b.com,N,2015-01-01,2015-01-01\nb.com,N,2015-01-01,2020-01-01", "domains=b.com; NN; filed=2015-01-01; updated=2020-01-01", "domain b.com/a.com b.com"},
		{"the same domains in another order", "domain,number,filed_at,updated_at", "a.com b.com,N,2015-01-01,2015-01-01\nb.com a.com,N,2015-01-01,2020-01-01", "domains=b.com a.com; NN; filed=2015-01-01; updated=2020-01-01", ""},
		{"domains too many for the day", "domain,number,filed_at,provider", "a.com,N,2020-01-01,x\nb.com,N,2020-01-01,y", "domains=b.com; NN; filed=2020-01-01; accesses=[x:active y:active]", "domain b.com/a.com b.com"},
		{"ip and site", "domain,number,kind", "192.0.2.1,N,ip\na.com,N,", "domains=a.com; NN", "kind site/ip 192.0.2.1"},
		{"cancelled stays", "domain,number,status,filed_at", "a.com,N,cancelled,2020-01-01\nb.com,N,,", "domains=b.com; NN; status=cancelled; filed=2020-01-01", "domain b.com/a.com b.com"},
		{"day and domains do not go together", "domain,number,filed_at,updated_at", "a.com,N,2020-01-01,2020-01-01\na.com b.com,N,,2020-01-02", "domains=a.com b.com; NN; updated=2020-01-02", "domain a.com b.com/a.com; filed_at unknown/2020-01-01T00:00:00+08:00"},

		{"access newer", "domain,provider,access_status,updated_at", "a.com,x,cancelled,2024-01-02\na.com,x,active,2024-01-01", "domains=a.com; updated=2024-01-02; accesses=[x:cancelled]", "access x cancelled/active"},
		{"access tie", "domain,provider,access_status", "a.com,x,cancelled\na.com,x,active", "domains=a.com; accesses=[x:active]", "access x active/cancelled"},
		{"access by its own day", "domain,provider,access_status,accessed_at", "a.com,x,cancelled,2024-01-02\na.com,x,active,2024-01-01", "domains=a.com; accesses=[x:cancelled:2024-01-02]", "access x cancelled 2024-01-02T00:00:00+08:00/active 2024-01-01T00:00:00+08:00"},
		{"access day filled", "domain,provider,access_status,accessed_at", "a.com,x,submitted,2024-01-02\na.com,x,submitted,", "domains=a.com; accesses=[x:submitted:2024-01-02]", ""},
		{"none, then one", "domain,provider", "a.com,none\na.com,x", "domains=a.com; accesses=[x:active]", "provider x/none"},
		{"one, then none", "domain,provider", "a.com,x\na.com,none", "domains=a.com; accesses=[]", "provider none/x"},
		{"none is older", "domain,provider,updated_at", "a.com,x,2024-01-02\na.com,none,2024-01-01", "domains=a.com; updated=2024-01-02; accesses=[x:active]", "provider x/none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, report := one(t, tt.header+"\n"+strings.ReplaceAll(tt.rows, "N", n))
			if s, want := show(f), strings.ReplaceAll(tt.want, "NN", shown); s != want {
				t.Errorf("got  %s\nwant %s", s, want)
			}
			if s := conflicts(report); s != tt.conflicts {
				t.Errorf("got conflicts  %s\nwant %s", s, tt.conflicts)
			}
			if report.Conflicts != len(report.ConflictList) {
				t.Errorf("got %d conflicts, %d listed", report.Conflicts, len(report.ConflictList))
			}
		})
	}
}

func TestDifferentFilingsStayApart(t *testing.T) {
	got, report, err := load(t, bulk.Options{}, "domain,number,kind\n"+
		"a.com,京ICP备00000001号-1,\na.com,京ICP备00000001号-2,\na.com,京ICP备00000001号-3A,\na.com,,\na.com,,app\na.com,京ICP备00000001号,quick-app\nb.com,京ICP备00000001号,\n")
	if err != nil || len(got) != 7 || report.Merged != 0 {
		t.Errorf("got %d filings, %s, error %v; want 7", len(got), report.String(), err)
	}
}

func TestConflictNamesBothLines(t *testing.T) {
	_, report, err := load(t, bulk.Options{}, "domain,site_name\n\na.com,x\n", `{"domain":"a.com","site_name":"y"}`)
	if err != nil || len(report.ConflictList) != 1 {
		t.Fatalf("got %v, error %v; want one conflict", report.ConflictList, err)
	}
	c := report.ConflictList[0]
	if c.Key != "a.com (site)" || c.KeptLine != 1 || c.DroppedLine != 3 || !strings.HasSuffix(c.KeptFile, "b") || !strings.HasSuffix(c.DroppedFile, "a") {
		t.Errorf("got %s", c)
	}
	if s := c.String(); !strings.HasPrefix(s, `a.com (site): site_name is "y" by `) || !strings.HasSuffix(s, "the later row") {
		t.Errorf("got %s", s)
	}
}

func TestDuplicates(t *testing.T) {
	text := "domain,site_name\na.com,x\na.com,y\na.com,x\na.com,x\nb.com,x\n"
	got, report, err := load(t, bulk.Options{}, text)
	if err != nil || report.Duplicates != 2 || report.Merged != 3 || report.Filings != 2 {
		t.Errorf("got %s, error %v; want 2 duplicates of 3 merged", report.String(), err)
	}
	// A duplicate is the later row all the same.
	if got[0].Site.Name != "x" || conflicts(report) != "site_name x/y" {
		t.Errorf("got %s, conflicts %s; want x, of the last row", show(got[0]), conflicts(report))
	}
}

func TestOrderIsThatOfTheFirstRows(t *testing.T) {
	got, _, err := load(t, bulk.Options{}, "domain,provider\nc.com,x\na.com,x\nc.com,y\nb.com,x\na.com,y\n")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range got {
		names = append(names, f.Site.Domains[0].String())
	}
	if s := strings.Join(names, " "); s != "c.com a.com b.com" {
		t.Errorf("got %s; want c.com a.com b.com", s)
	}
}

// TestManyRowsOfOneFiling would take hours if the work grew with the square.
func TestManyRowsOfOneFiling(t *testing.T) {
	var b strings.Builder
	b.WriteString("domain,number,provider,site_name\n")
	for i := range 50_000 {
		name := strings.Repeat("x", i%7+1) + string(rune('a'+i%26))
		b.WriteString(name + "-" + itoa(i) + ".com,京ICP备00000001号-1,p" + itoa(i) + ",s" + itoa(i) + "\n")
	}
	got, report, err := load(t, bulk.Options{}, b.String())
	if err != nil || len(got) != 1 || len(got[0].Site.Domains) != 500 || len(got[0].Accesses) != 200 {
		t.Errorf("got %d filings, %s, error %v; want one of 500 domains, 200 accesses", len(got), report.String(), err)
	}
	if len(report.ConflictList) != 1000 || report.Conflicts < 50_000 {
		t.Errorf("got %d conflicts, %d listed; want all counted, 1000 listed", report.Conflicts, len(report.ConflictList))
	}
}
