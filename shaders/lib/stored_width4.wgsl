// What a kernel of width 4 finds in storage, `array<Stored>`.
alias Stored = Four;

fn floats(value: Stored) -> Float {
    return four(value);
}
