"""The type of each task of T0-SF, which decides its wordings in the collection (flan/v2/constants_t0.py).

`t0_multiple_choice_separated_options`: the choices stand beside the text, and a list of them is added (19
tasks, whose catalogue entries have `options`). `t0_multiple_choice`: the text holds its choices, or they are
trivial (70). `t0_question_answer`: all others (104).
"""

from __future__ import annotations

from openflan.tasks.catalogue import find

T0_TYPES = ("t0_question_answer", "t0_multiple_choice", "t0_multiple_choice_separated_options")

MULTIPLE_CHOICE = frozenset(
    {
        "amazon_polarity_convey_negative_or_positive_sentiment",
        "amazon_polarity_flattering_or_not",
        "amazon_polarity_Is_this_review",
        "amazon_polarity_negative_or_positive_tone",
        "amazon_polarity_user_satisfied",
        "amazon_polarity_would_you_buy",
        "app_reviews_categorize_rating_using_review",
        "app_reviews_convert_to_star_rating",
        "cos_e_v1.11_description_question_option_id",
        "cos_e_v1.11_description_question_option_text",
        "cos_e_v1.11_question_description_option_id",
        "cos_e_v1.11_question_description_option_text",
        "cos_e_v1.11_question_option_description_id",
        "cos_e_v1.11_question_option_description_text",
        "dbpedia_14_given_a_choice_of_categories_",
        "dbpedia_14_given_a_list_of_category_what_does_the_title_belong_to",
        "dbpedia_14_given_list_what_category_does_the_paragraph_belong_to",
        "dbpedia_14_pick_one_category_for_the_following_text",
        "dream_baseline",
        "dream_read_the_following_conversation_and_answer_the_question",
        "qasc_qa_with_combined_facts_1",
        "qasc_qa_with_separated_facts_1",
        "qasc_qa_with_separated_facts_2",
        "qasc_qa_with_separated_facts_4",
        "quail_context_description_question_answer_id",
        "quail_context_description_question_answer_text",
        "quail_context_question_answer_description_id",
        "quail_context_question_answer_description_text",
        "quail_context_question_description_answer_id",
        "quail_context_question_description_answer_text",
        "quail_description_context_question_answer_id",
        "quail_description_context_question_answer_text",
        "quail_no_prompt_id",
        "quail_no_prompt_text",
        "quarel_choose_between",
        "quarel_do_not_use",
        "quarel_heres_a_story",
        "quarel_logic_test",
        "quarel_testing_students",
        "quartz_answer_question_based_on",
        "quartz_answer_question_below",
        "quartz_given_the_fact_answer_the_q",
        "quartz_having_read_above_passage",
        "quartz_paragraph_question_plain_concat",
        "quartz_read_passage_below_choose",
        "quartz_use_info_from_paragraph_question",
        "quartz_use_info_from_question_paragraph",
        "race_high_Is_this_the_right_answer",
        "race_high_Select_the_best_answer",
        "race_high_Select_the_best_answer_generate_span_",
        "race_high_Select_the_best_answer_no_instructions_",
        "race_high_Taking_a_test",
        "race_middle_Is_this_the_right_answer",
        "race_middle_Select_the_best_answer",
        "race_middle_Select_the_best_answer_generate_span_",
        "race_middle_Select_the_best_answer_no_instructions_",
        "race_middle_Taking_a_test",
        "sciq_Multiple_Choice",
        "sciq_Multiple_Choice_Closed_Book_",
        "sciq_Multiple_Choice_Question_First",
        "social_i_qa_Show_choices_and_generate_answer",
        "social_i_qa_Show_choices_and_generate_index",
        "wiki_hop_original_choose_best_object_affirmative_1",
        "wiki_hop_original_choose_best_object_affirmative_2",
        "wiki_hop_original_choose_best_object_affirmative_3",
        "wiki_hop_original_choose_best_object_interrogative_1",
        "wiki_hop_original_choose_best_object_interrogative_2",
        "wiki_qa_Decide_good_answer",
        "wiki_qa_exercise",
        "wiki_qa_found_on_google",
    }
)
"""The bare names of the tasks whose text holds its choices."""


def names_of_type(wanted: str) -> tuple[str, ...]:
    """The bare names of the tasks of a type of T0_TYPES, in the catalogue's order."""
    bare = {entry.name.partition("/")[2]: bool(entry.options) for entry in find(submixture="t0_sf")}
    return tuple(name for name, options in bare.items() if _type(name, options=options) == wanted)


def _type(name: str, *, options: bool) -> str:
    if options:
        return "t0_multiple_choice_separated_options"
    return "t0_multiple_choice" if name in MULTIPLE_CHOICE else "t0_question_answer"
