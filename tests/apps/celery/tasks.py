import os

from celery import Celery

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "broker")
os.makedirs(folder, exist_ok=True)

app = Celery("tasks", broker="filesystem://")
app.conf.broker_transport_options = {
    "data_folder_in": folder,
    "data_folder_out": folder,
    "control_folder": os.path.join(folder, "control"),
}
app.conf.broker_connection_retry_on_startup = True


@app.task
def add(x, y):
    return x + y
