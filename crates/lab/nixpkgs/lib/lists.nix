# Functions over lists.
let
  inherit (builtins)
    elem
    elemAt
    filter
    foldl'
    genList
    isList
    length
    ;
in
rec {
  optional = condition: value: if condition then [ value ] else [ ];
  optionals = condition: values: if condition then values else [ ];
  singleton = value: [ value ];
  toList = value: if isList value then value else [ value ];
  flatten = value: if isList value then builtins.concatMap flatten value else [ value ];
  unique = foldl' (seen: value: if elem value seen then seen else seen ++ [ value ]) [ ];
  reverseList =
    values:
    let
      count = length values;
    in
    genList (i: elemAt values (count - i - 1)) count;
  range = from: to: if from > to then [ ] else genList (i: from + i) (to - from + 1);
  imap0 = f: values: genList (i: f i (elemAt values i)) (length values);
  imap1 = f: imap0 (i: f (i + 1));
  last = values: elemAt values (length values - 1);
  init = values: take (length values - 1) values;
  take =
    count: values:
    genList (elemAt values) (if count < length values then count else length values);
  drop =
    count: values:
    if count >= length values then [ ] else genList (i: elemAt values (i + count)) (length values - count);
  remove = value: filter (other: other != value);
  subtractLists = removed: filter (value: !(elem value removed));
  intersectLists = kept: filter (value: elem value kept);
  foldr =
    f: start: values:
    foldl' (acc: value: f value acc) start (reverseList values);
  fold = foldr;
  findFirst =
    test: default: values:
    let
      found = filter test values;
    in
    if found == [ ] then default else builtins.head found;
  count = test: values: length (filter test values);
  zipListsWith =
    f: a: b:
    genList (i: f (elemAt a i) (elemAt b i)) (
      if length a < length b then length a else length b
    );
  sortOn = key: builtins.sort (a: b: key a < key b);
  concat = a: b: a ++ b;
}
