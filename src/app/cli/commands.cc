#include "app/cli/command.h"

namespace tailrace::app {

// The one list, in the order --help shows.
void AddAllCommands(Command& root) {
  AddUp(root);
  AddRun(root);
  AddInit(root);
  AddProjectCommands(root);
  AddStream(root);
  AddDag(root);
  AddTask(root);
  AddSql(root);
  AddTopic(root);
  AddGroup(root);
  AddStatus(root);
  AddDoctor(root);
  AddBench(root);
  AddVersion(root);
}

}  // namespace tailrace::app
