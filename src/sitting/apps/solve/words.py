"""The word lists of the rules, folded as messages are: lower case, no accents. All languages hold for every message."""

from __future__ import annotations

LOW_EFFORT = frozenset(
    ("idk", "i don't know", "dunno", "whatever", "nothing", "asdf", "test", "no se", "nada", "不知道", "随便")
)

AGREEMENT = (
    *("yes", "yeah", "yep", "right", "exactly", "correct", "true", "agreed", "ok", "okay", "sure"),
    *("si", "exacto", "correcto", "claro", "vale"),
    *("是", "是的", "对", "对的", "没错", "好", "好的"),
)

CHOICE = ("option", "opcion", "选项")

CRISIS = (
    *("kill myself", "end my life", "want to die", "suicid", "hurt myself", "self harm", "self-harm"),
    *("quiero morir", "matarme", "quitarme la vida", "hacerme dano"),
    *("自杀", "不想活", "想死", "结束生命", "伤害自己"),
)
# Said of longing, laughter and tiredness: what stands inside them is no crisis.
NO_CRISIS = ("想死你", "笑死", "累死")

NEGATION = frozenset(("not", "no", "never", "nunca"))
NEGATION_HAN = frozenset("不没")

EMOTION: dict[str, frozenset[str]] = {
    "anxious": frozenset(
        """anxious worried nervous scared panic panicking overwhelmed stressed afraid anxiety worry tense terrified
        ansioso ansiosa preocupado preocupada nervioso nerviosa asustado asustada miedo panico agobiado agobiada
        estresado estresada angustia angustiado angustiada inquieto inquieta abrumado abrumada""".split()
    ),
    "frustrated": frozenset(
        """frustrated angry annoyed stuck furious irritated mad frustrating frustration resentful outraged
        frustrado frustrada enojado enojada enfadado enfadada molesto molesta atascado atascada furioso furiosa
        harto harta irritado irritada rabia bloqueado bloqueada indignado indignada""".split()
    ),
    "sad": frozenset(
        """sad lonely hopeless hurt crying unhappy depressed heartbroken miserable grieving disappointed
        triste tristeza deprimido deprimida llorando lloro herido herida desanimado desanimada infeliz abatido abatida
        desconsolado desconsolada decepcionado decepcionada""".split()
    ),
    "confused": frozenset(
        """confused lost unsure torn puzzled uncertain undecided bewildered confusing unclear
        confundido confundida perdido perdida inseguro insegura dudoso dudosa indeciso indecisa desorientado
        desorientada confuso confusa dudas desconcertado desconcertada""".split()
    ),
    "hopeful": frozenset(
        """hopeful excited optimistic hope motivated encouraged eager confident inspired enthusiastic
        esperanzado esperanzada ilusionado ilusionada optimista esperanza motivado motivada animado animada
        entusiasmado entusiasmada emocionado emocionada confiado confiada""".split()
    ),
    "calm": frozenset(
        """calm relaxed peaceful serene quiet settled content comfortable rested composed
        tranquilo tranquila calmado calmada relajado relajada sereno serena paz aliviado aliviada sosegado sosegada
        descansado descansada""".split()
    ),
}

EMOTION_HAN: dict[str, tuple[str, ...]] = {
    "anxious": ("焦虑", "担心", "紧张", "害怕", "恐慌", "压力", "不安", "忧虑", "恐惧", "慌张", "着急"),
    "frustrated": ("沮丧", "生气", "愤怒", "恼火", "烦躁", "挫败", "受挫", "气愤", "烦死", "卡住", "火大"),
    "sad": ("难过", "伤心", "悲伤", "孤独", "绝望", "痛苦", "哭", "失落", "寂寞", "心碎", "委屈"),
    "confused": ("困惑", "迷茫", "迷惑", "糊涂", "不确定", "犹豫", "纠结", "茫然", "搞不懂", "矛盾", "疑惑"),
    "hopeful": ("希望", "期待", "兴奋", "乐观", "有信心", "憧憬", "振奋", "向往", "激动", "盼望"),
    "calm": ("平静", "放松", "安心", "冷静", "宁静", "轻松", "踏实", "淡定", "从容", "安宁"),
}
