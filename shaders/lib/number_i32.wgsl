// Element type of a reduction: i32. Goes with `number_integer`.
alias Number = i32;

fn least_number() -> Number {
    return -2147483647i - 1i;
}

fn greatest_number() -> Number {
    return 2147483647i;
}
