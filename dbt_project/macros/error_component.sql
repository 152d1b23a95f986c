{#
  Which component a technical error message speaks of, or null where there is no error.

  Synthesis before the language model, because a provider's name (openai) stands for both; the message names the
  stage first. A name begins after anything that is no letter, because many messages are codes (ERR_LLM_TIMEOUT).
#}
{% macro error_component(message, error_type) -%}
    {%- set start = '(^|[^[:alpha:]])' -%}
    case
        when coalesce({{ message }}, '') = '' and {{ error_type }} is distinct from 'technical' then null
        when {{ message }} ~* '{{ start }}(asr|stt|speech.?to.?text|recogni[sz]|transcri(b|pt))' then 'asr'
        when {{ message }} ~* '{{ start }}(tts|text.?to.?speech|synthes|voice)' then 'tts'
        when {{ message }} ~* '{{ start }}(llm|language.?model|completion|prompt|token|gpt|openai|anthropic)' then 'llm'
        else 'other'
    end
{%- endmacro %}
