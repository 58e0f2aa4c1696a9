package registry

import (
	"strings"
)

// province is where a number was given. Source of the codes: GB/T 2260.
type province struct {
	letter string
	name   string
	code   string // the first two digits of its region codes
	alias  string // what people write for the letter; 晥 is a slip of the pen
}

// provinces has the province of each index that a Number holds.
var provinces = [...]province{{},
	{"京", "Beijing", "11", ""}, {"津", "Tianjin", "12", ""}, {"冀", "Hebei", "13", ""}, {"晋", "Shanxi", "14", ""},
	{"蒙", "Inner Mongolia", "15", ""}, {"辽", "Liaoning", "21", ""}, {"吉", "Jilin", "22", ""}, {"黑", "Heilongjiang", "23", ""},
	{"沪", "Shanghai", "31", ""}, {"苏", "Jiangsu", "32", ""}, {"浙", "Zhejiang", "33", ""}, {"皖", "Anhui", "34", "晥"},
	{"闽", "Fujian", "35", ""}, {"赣", "Jiangxi", "36", ""}, {"鲁", "Shandong", "37", ""}, {"豫", "Henan", "41", ""},
	{"鄂", "Hubei", "42", ""}, {"湘", "Hunan", "43", ""}, {"粤", "Guangdong", "44", ""}, {"桂", "Guangxi", "45", ""},
	{"琼", "Hainan", "46", ""}, {"渝", "Chongqing", "50", ""}, {"蜀", "Sichuan", "51", "川"}, {"黔", "Guizhou", "52", "贵"},
	{"滇", "Yunnan", "53", "云"}, {"藏", "Tibet", "54", ""}, {"陕", "Shaanxi", "61", "秦"}, {"陇", "Gansu", "62", "甘"},
	{"青", "Qinghai", "63", ""}, {"宁", "Ningxia", "64", ""}, {"新", "Xinjiang", "65", ""},
}

// ProvinceName returns the English name of the province of a number's letter,
// as Province returns it; empty if there is none.
func ProvinceName(letter string) string {
	for _, p := range provinces[1:] {
		if p.letter == letter {
			return p.name
		}
	}
	return ""
}

// provinceIndex finds the province of a letter or alias; 0 if there is none.
func provinceIndex(letter string) (i uint8, alias bool) {
	i = provinceOf[letter]
	return i, i > 0 && provinces[i].letter != letter
}

// provinceOf has the index of each letter and alias.
var provinceOf = func() map[string]uint8 {
	of := map[string]uint8{}
	for i, p := range provinces[1:] {
		for _, letter := range []string{p.letter, p.alias} {
			if letter != "" { // as most aliases are
				of[letter] = uint8(i + 1)
			}
		}
	}
	return of
}()

func provinceLetters() string {
	letters := make([]string, 0, len(provinces))
	for _, p := range provinces[1:] {
		letters = append(letters, p.letter)
	}
	return strings.Join(letters, " ")
}
