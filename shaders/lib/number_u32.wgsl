// Element type of a reduction: u32. Goes with `number_integer`.
alias Number = u32;

fn least_number() -> Number {
    return 0u;
}

fn greatest_number() -> Number {
    return 4294967295u;
}
