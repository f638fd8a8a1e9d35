// Element type of a kernel that serves all three scalars; integers have no epilogue.
alias Element = u32;

fn epilogue(value: Element, index: u32) -> Element {
    return value;
}
