from .memory import available_memory as available_memory
from .memory import require_memory as require_memory
from .threads import one_thread as one_thread
from .whole_files import whole as whole
from .whole_files import write_whole as write_whole
