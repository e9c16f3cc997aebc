"""Numbers with powers of ten, in equations and in ranges, in every language of a benchmark: the right value
or none, never a part of it."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openflan.evaluation import mgsm_benchmark
from openflan.evaluation.gsm8k import gsm8k_benchmark
from openflan.evaluation.mgsm_languages import LANGUAGES
from openflan.evaluation.numbers import canonical, number

CLOSINGS = {
    "bn": "উত্তর হল {}।",
    "de": "Die Antwort lautet {}.",
    "en": "The answer is {}.",
    "es": "La respuesta es {}.",
    "fr": "La réponse est {}.",
    "ja": "答えは{}です。",
    "ru": "Ответ — {}.",
    "sw": "Jibu ni {}.",
    "te": "సమాధానం {}.",
    "th": "คำตอบคือ {}",
    "zh": "答案是{}。",
}
POWERS = {
    "bn": {"{} হাজার": 3, "{} লক্ষ": 5, "{} লাখ": 5, "{} কোটি": 7, "{} মিলিয়ন": 6},
    "de": {"{} Tausend": 3, "{} Millionen": 6, "{} Mio. Euro": 6, "{} Milliarden": 9, "{} Billionen": 12},
    "en": {
        "{} hundred": 2,
        "{} thousand": 3,
        "{} million": 6,
        "{} Billion dollars": 9,
        "{} lakh": 5,
        "{} crore": 7,
        "{}k": 3,
        "{}bn": 9,
        "{} hundred thousand": 5,
    },
    "es": {"{} mil": 3, "{} millones": 6, "{} mil millones": 9, "{} billones": 12},
    "fr": {"{} mille": 3, "{} millions d'euros": 6, "{} milliards": 9},
    "ja": {"{}千円": 3, "{}万人": 4, "{}億": 8, "{}百万": 6, "{}兆円": 12},
    "ru": {"{} тысяч": 3, "{} тыс. рублей": 3, "{} млн": 6, "{} миллиардов": 9, "{} трлн": 12},
    "sw": {"elfu {}": 3, "laki {}": 5, "milioni {}": 6, "bilioni {}": 9, "{} milioni": 6},
    "te": {"{} వేలు": 3, "{} లక్షల రూపాయలు": 5, "{} కోట్లు": 7, "{} మిలియన్": 6},
    "th": {"{} พัน": 3, "{} หมื่น": 4, "{} แสนบาท": 5, "{} ล้าน": 6, "{} พันล้าน": 9},
    "zh": {"{}千": 3, "{}万": 4, "{} 亿": 8, "{}百万": 6, "{}万亿": 12, "{}萬個": 4},
}
EQUATIONS = {
    "bn": "{}টি বিড়াল + {}টি কুকুর = {}টি প্রাণী",
    "de": "{} Katzen + {} Hunde = {} Tiere",
    "en": "{} cats + {} dogs = {} animals",
    "es": "{} gatos + {} perros = {} animales",
    "fr": "{} chats + {} chiens = {} animaux",
    "ja": "{}匹の猫＋{}匹の犬＝{}匹",
    "ru": "{} кошек + {} собак = {} животных",
    "sw": "paka {} + mbwa {} = wanyama {}",
    "te": "{} పిల్లులు + {} కుక్కలు = {} జంతువులు",
    "th": "แมว {} ตัว + สุนัข {} ตัว = สัตว์ {} ตัว",
    "zh": "{}只猫 + {}只狗 = {}只动物",
}
RANGES = {
    "bn": ["{}-{}", "{} থেকে {}", "{} বা {}"],
    "de": ["{}–{}", "{} bis {} Euro", "{} oder {}", "zwischen {} und {}"],
    "en": [
        "{}-{}",
        "{} to {}",
        "{} or {}",
        "between {} and {}",
        "${}-${}",
        "{}%~{}%",
        "{} cats and {} dogs",
        "{} apples or {} pears",
        "{} + {}",
    ],
    "es": ["{} - {}", "{} a {}", "de {} hasta {}", "entre {} y {}"],
    "fr": ["{}—{}", "{} à {}", "{} ou {}", "entre {} et {}"],
    "ja": ["{}～{}", "{}から{}", "{}個から{}個", "{}か{}"],
    "ru": ["{}–{}", "от {} до {}", "{} или {}"],
    "sw": ["{}-{}", "{} hadi {}", "{} au {}"],
    "te": ["{}-{}", "{} నుండి {}", "{} లేదా {}"],
    "th": ["{}-{}", "{} ถึง {}", "{} หรือ {}"],
    "zh": ["{}－{}", "{}到{}", "{}至{}", "{}个或{}个"],
}


def read(language: str, said: str) -> str | None:
    return mgsm_benchmark().extract(language, CLOSINGS[language].format(said))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("value", ["3", "25", "1.5"])
def test_a_power_of_ten_in_words_belongs_to_the_number(language: str, value: str) -> None:
    spelled = value.replace(".", ",") if LANGUAGES[language].decimal_comma else value
    expected = {how: canonical(Decimal(value).scaleb(power)) for how, power in POWERS[language].items()}
    assert {how: read(language, how.format(spelled)) for how in expected} == expected


@pytest.mark.parametrize(
    ("language", "said", "value"),
    [
        ("zh", "3万", "30000"),
        ("zh", "3万5千", "35000"),
        ("zh", "3万零500", "30500"),
        ("zh", "3万2", None),  # short for 32,000
        ("zh", "3万一千", None),
        ("zh", "5千克", "5"),  # a kilogram
        ("ja", "1億2,000万円", "120000000"),
        ("en", "2 million 500 thousand", "2500000"),
        ("en", "2 lakh 50 thousand", "250000"),
        ("en", "2 and a half million", "2500000"),
        ("en", "3 and a half", "3.5"),
        ("en", "$5m", "5000000"),
        ("en", "5m", "5"),  # metres
        ("en", "5 km", "5"),
        ("en", "5 million-to-one", "5000000"),
        ("en", "3 dozen", "3"),  # a unit: GSM8K asks "how many dozen"
        ("sw", "elfu 5 na mia 3", "5300"),
        ("th", "5 พันธุ์", "5"),  # varieties
        ("bn", "5 শতাংশ", "5"),  # percent
        ("bn", "5 লক্ষ্য", "5"),  # aims
        ("de", "2 Billion", None),  # 10^12 in German, 10^9 in English
        ("ja", "3時間半", "3.5"),
        ("ru", "5 600 тыс.", "5600000"),
    ],
)
def test_powers_that_look_alike(language: str, said: str, value: str | None) -> None:
    assert read(language, said) == value


@pytest.mark.parametrize("language", LANGUAGES)
@given(first=st.integers(2, 999), second=st.integers(2, 999))
def test_an_equation_is_worth_its_right_hand_side(language: str, first: int, second: int) -> None:
    assert read(language, EQUATIONS[language].format(first, second, first + second)) == str(first + second)
    assert read(language, EQUATIONS[language].format(first, second, 1234567)) == "1234567"


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ("5 cats + 3 dogs = 8 animals", "8"),
        ("2*3 + 4 = 6 + 4 = 10", "10"),
        ("8 = 5 + 3", "8"),
        ("5 plus 3 equals 8", "8"),
        ("5 cats and 3 dogs = 8 animals", "8"),
        ("8 goals/game * 150 games = 1,200 goals", "1200"),
        ("60 - 30 = <<60-30=30>>30", "30"),
        ("2(3 + 4) = 14", "14"),
        ("20% of 50 = 10", "10"),
        ("10^3 = 1000", "1000"),
        ("1.5 million + 2 million = 3.5 million", "3500000"),
        ("5 + 3 = x", None),
        ("5 + 3", None),
        ("18, because 9 * 3 = 27", "18"),
        ("18 (9 * 3 = 27)", "18"),
        ("18 because 9 * 3 = 27", "18"),
        ("18, 5 of them red", "18"),
        ("18 and that is all", "18"),
        ("5, 6 and 7", None),
    ],
)
def test_equations_of_every_form(said: str, value: str | None) -> None:
    assert gsm8k_benchmark("cot").extract("gsm8k", f"The answer is {said}.") == value
    assert gsm8k_benchmark("direct").extract("gsm8k", said) == value


@pytest.mark.parametrize("language", LANGUAGES)
@given(first=st.integers(2, 999), second=st.integers(2, 999))
def test_a_range_or_a_choice_is_no_number(language: str, first: int, second: int) -> None:
    for how in RANGES[language]:
        assert read(language, how.format(first, second)) is None, how
    assert read(language, str(first)) == str(first)


@pytest.mark.parametrize(
    "text",
    [
        "7" * 1_000_000,
        "1e999 " * 9,
        "1/" + "3" * 50_000,
        "0." + "1" * 50_000,
        "1," * 400_000,
        "$" + "9" * 5_000 + " million",
    ],
)
@pytest.mark.parametrize("decimal_comma", [False, True])
def test_numbers_of_any_length_are_read_or_refused(text: str, decimal_comma: bool) -> None:
    value = number(text, decimal_comma=decimal_comma)
    assert value is None or canonical(value) == "1" + "0" * 999
    assert not gsm8k_benchmark().correct("gsm8k", f"The answer is {text}", "#### 7")


def test_long_numbers_are_exact() -> None:
    for value in (10**40 + 1, -(10**200) - 7):
        assert canonical(number(f"{value}") or Decimal(0)) == str(value)
        assert canonical(number(f"{value:,}") or Decimal(0)) == str(value)


@given(
    st.integers(-(10**9), 10**9),
    st.sampled_from(sorted(CLOSINGS)),
    st.text(alphabet=" abcdefg,.xk万千点個టి", max_size=8),
)
def test_what_follows_a_plain_number_never_makes_another_of_it_but_a_power(
    value: int, language: str, after: str
) -> None:
    answer = read(language, f"{value} {after}")
    assert answer is not None
    assert (Decimal(answer) / value).normalize().as_tuple().digits == (1,) if value else answer == "0"
