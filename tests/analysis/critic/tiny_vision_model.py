"""A real vision-language model of a few thousand random weights, saved as a server loads it.

LLaVA's architecture (arXiv 2304.08485) with a vocabulary in which whole replies are single tokens, each of which ends the
answer: so the random weights pick, by what they see, between valid replies and others that keep to no form.
"""

from __future__ import annotations

from pathlib import Path

VALID = tuple(f'{{"answer": "{answer}", "reason": "it looks so"}}' for answer in ("A", "B", "both", "neither"))
INVALID = ("I cannot tell.", '{"answer": "C", "reason": ""}', "A")
IMAGE, PAD, UNKNOWN = "<image>", "<pad>", "<unk>"
SIDE, PATCH, WIDTH = 56, 14, 32
LOUDER = 5.0
TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


def make_tiny_vision_model(folder: Path, seed: int = 6) -> None:
    """Save the model, its tokenizer, its image processor and its chat template in ``folder``."""
    import torch
    from transformers import LlavaForConditionalGeneration

    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(_config(tokenizer))
    with torch.no_grad():
        _make_it_heed_the_picture(model, tokenizer)
    replies = tokenizer.convert_tokens_to_ids([*VALID, *INVALID])
    model.generation_config.eos_token_id = replies
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    _processor(tokenizer).save_pretrained(folder)


def _make_it_heed_the_picture(model, tokenizer) -> None:
    """Only replies can be said, words are seen as nothing, and weights are large enough for pictures to differ."""
    head = model.lm_head.weight
    replies = tokenizer.convert_tokens_to_ids([*VALID, *INVALID])
    head.zero_()
    head[replies] = head.new_empty(len(replies), WIDTH).normal_()
    model.model.language_model.embed_tokens.weight.zero_()
    for weight in model.model.parameters():
        if weight.ndim > 1:
            weight.mul_(LOUDER)


def _tokenizer():
    from tokenizers import AddedToken, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    words = [PAD, UNKNOWN, IMAGE, *VALID, *INVALID, "A:", "B:", "IMAGE."]
    made = Tokenizer(WordLevel({word: place for place, word in enumerate(words)}, unk_token=UNKNOWN))
    made.pre_tokenizer = WhitespaceSplit()
    made.add_special_tokens([AddedToken(IMAGE, normalized=False)])
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=PAD, unk_token=UNKNOWN, extra_special_tokens={"image_token": IMAGE}
    )


def _config(tokenizer):
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    small = {"hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    vision = CLIPVisionConfig(**small, image_size=SIDE, patch_size=PATCH, projection_dim=WIDTH)
    text = LlamaConfig(**small, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id)
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        vision_feature_layer=-1,
        image_seq_length=(SIDE // PATCH) ** 2,
    )


def _processor(tokenizer):
    from transformers import CLIPImageProcessorPil, LlavaProcessor

    square = {"height": SIDE, "width": SIDE}
    return LlavaProcessor(
        image_processor=CLIPImageProcessorPil(size=square, crop_size=square),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=TEMPLATE,
    )
