package registry

import "testing"

// readSlowly reads s without the short way for plain spellings.
func readSlowly(s string) (Number, NumberWarnings, error) {
	t, err := foldNumber(s)
	if err != nil {
		return Number{}, 0, err
	}
	n, err := t.number()
	return n, t.warn, err
}

func TestPlainNumberAgrees(t *testing.T) {
	for _, s := range []string{
		"京ICP备12345678号", "京ICP备2023000001号-1", "粤ICP备2023000001号-12A", "沪ICP备12345678号-1X", "新ICP备12345678号-99999K",
		"京ICP备12345678号-100000", "京ICP备12345678号-0", "京ICP备12345678号-01", "京ICP备12345678号-", "京ICP备12345678号-A",
		"京ICP备123456789号", "川ICP备12345678号", "京ICP备1234567x号", "ICP备12345678号", "京", "京ICP备12345678号-1B", "京ICP备12345678号-1IP",
	} {
		plain, ok := plainNumber(s)
		want, warn, err := readSlowly(s)
		if ok && (err != nil || warn != 0 || plain != want) {
			t.Errorf("plainNumber(%q) = %v; want %v, %v, %v", s, plain, want, warn, err)
		}
		if !ok && err == nil && warn == 0 {
			t.Logf("%q is read the long way only", s)
		}
	}
	if _, ok := plainNumber("京ICP备2023000001号-1A"); !ok {
		t.Error("a plain number is not read the short way")
	}
}

func FuzzPlainNumber(f *testing.F) {
	f.Add("京ICP备2023000001号-1A")
	f.Add("京ICP备12345678号")
	f.Add("川ICP备12345678号-1")
	f.Fuzz(func(t *testing.T, s string) {
		plain, ok := plainNumber(s)
		if !ok {
			return
		}
		if want, warn, err := readSlowly(s); err != nil || warn != 0 || plain != want {
			t.Errorf("plainNumber(%q) = %v; want %v, %v, %v", s, plain, want, warn, err)
		}
	})
}
